# Einträge einer Spur, Satz für Satz.
#
# $listener ist "you", wenn die betroffene Person liest, sonst "other". Nie schreiben, dass jemand etwas
# getan hat: Der Verfasser eines Eintrags *gibt es an*, mehr ist nicht bekannt.

## Aufzählungen und Zeiten

list-more = { $list }, { $next }
list-and = { $list } und { $next }
list-or = { $list } oder { $next }
list-also = { $list }; { $next }

month-1 = Januar
month-2 = Februar
month-3 = März
month-4 = April
month-5 = Mai
month-6 = Juni
month-7 = Juli
month-8 = August
month-9 = September
month-10 = Oktober
month-11 = November
month-12 = Dezember
date-second = { $day }. { $month } { $year }, { $hour }:{ $minute }:{ $second } UTC
date-minute = { $day }. { $month } { $year }, { $hour }:{ $minute } UTC
date-day = { $day }. { $month } { $year }
date-day-short = { $day }. { $month }
date-month = { $month } { $year }
date-never = ohne Ende
span-ms = { $count } ms
span-seconds = { $count ->
    [one] { $count } Sekunde
   *[other] { $count } Sekunden
}
span-minutes = { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
}
span-hours = { $count ->
    [one] { $count } Stunde
   *[other] { $count } Stunden
}
span-days = { $count ->
    [one] { $count } Tag
   *[other] { $count } Tage
}
when-from = ab { $time }
when-until = bis { $time }
when-recorded = von der Quelle aufgezeichnet: { $time }
span-from-to = von { $start } bis { $end }
span-any = jederzeit

## Ein Zugriff

time-recorded = aufgezeichnet { $time }
access = { $time }: { $author } gibt an, dass { $actor } { $deed }
access-purpose = { $told }, Zweck: { $purposes }
access-ground = { $told }, { $ground }
access-note = { $told } ({ $note })
author-subject = { $listener ->
    [you] die betroffene Person (Sie)
   *[other] die betroffene Person
}
actor-at = { $who } bei { $organisation }
actor-there = jemand dort
what-sealed = Daten (Einzelheiten versiegelt)
what-search = Unterlagen
what-data = Daten
what-record = { $listener ->
    [you] Ihre Akte
   *[other] die Akte der betroffenen Person
}

# Was getan wurde. Das Attribut "tried" steht für das, was nicht gelang.
deed-read = { $what } gelesen hat
    .tried = { $what } zu lesen versucht hat
deed-query = { $what } durchsucht hat
    .tried = { $what } zu durchsuchen versucht hat
deed-create = { $what } geschrieben hat
    .tried = { $what } zu schreiben versucht hat
deed-update = { $what } geändert hat
    .tried = { $what } zu ändern versucht hat
deed-delete = { $what } gelöscht hat
    .tried = { $what } zu löschen versucht hat
deed-export = { $what } herausgegeben hat
    .tried = { $what } herauszugeben versucht hat
deed-import = { $what } übernommen hat
    .tried = { $what } zu übernehmen versucht hat
deed-execute = einen Vorgang ausgeführt hat auf: { $what }
    .tried = einen Vorgang auszuführen versucht hat auf: { $what }
deed-start-break-glass = einen Notfallzugriff begonnen hat auf: { $what }
    .tried = einen Notfallzugriff zu beginnen versucht hat auf: { $what }
deed-stop-break-glass = einen Notfallzugriff beendet hat auf: { $what }
    .tried = einen Notfallzugriff zu beenden versucht hat auf: { $what }
deed-unnamed = auf { $what } zugegriffen hat
    .tried = auf { $what } zuzugreifen versucht hat
deed-sealed = auf Daten zugegriffen hat (Einzelheiten und Ausgang versiegelt)
ended-denied = { $tried } und abgewiesen wurde
ended-failed = { $tried }, was misslang
ended-overridden = { $deed }, entgegen einer Ablehnung, wie im Notfall
ended-not-stated = { $deed } (Ausgang nicht angegeben)
ended-sealed = { $deed } (Ausgang versiegelt)

ground-consent-of = { $listener ->
    [you] aufgrund Ihrer Einwilligung vom { $date } ({ $rule })
   *[other] aufgrund der Einwilligung der betroffenen Person vom { $date } ({ $rule })
}
ground-consent-cited = { $listener ->
    [you] aufgrund Ihrer Einwilligung ({ $rule })
   *[other] aufgrund der Einwilligung der betroffenen Person ({ $rule })
}
ground-consent = { $listener ->
    [you] aufgrund Ihrer Einwilligung
   *[other] aufgrund der Einwilligung der betroffenen Person
}
ground-law = aufgrund eines Gesetzes
ground-permit = aufgrund einer Datengenehmigung
ground-permit-cited = aufgrund einer Datengenehmigung (Genehmigung { $id })
ground-emergency = in einem Notfall
ground-emergency-cited = in einem Notfall (Erklärung { $id })
ground-subject = { $listener ->
    [you] als Sie selbst
   *[other] als die betroffene Person selbst
}
ground-unknown = aus einem nicht angegebenen Grund

## Andere Einträge

entry = { $time }: { $what }
entry-withheld = { $time }: Ein Eintrag von { $author } wird zurückgehalten, auf Anordnung durch Eintrag { $warrant }; dass es ihn gibt, ist bewiesen, was er sagt, wird nicht gezeigt
entry-pruned = { $time }: Ein Eintrag von { $author }, dessen Inhalt nicht mehr aufbewahrt wird; dass er aufgezeichnet wurde, ist bewiesen
entry-due = { $time }: Von der Kette selbst festgestellt: { $what }; die Frist war { $deadline }
entry-block = { $time }: Beginn eines Blocks
rule-number = Regel { $number }
rule-id = Regel { $id }
did-rule = { $listener ->
    [you] { $author } hat als Ihren Willen aufgezeichnet: { $kind } ({ $rule })
   *[other] { $author } hat als Willen der betroffenen Person aufgezeichnet: { $kind } ({ $rule })
}
did-rule-body = { $listener ->
    [you] { $author } hat als Ihren Willen aufgezeichnet: { $kind }: { $body } ({ $rule })
   *[other] { $author } hat als Willen der betroffenen Person aufgezeichnet: { $kind }: { $body } ({ $rule })
}
did-rule-sealed = { $author } hat { $rule } aufgezeichnet, deren Inhalt versiegelt ist
did-rule-ends = { $told }; damit endet { $rules }
did-rule-until = { $told }, längstens bis { $date }
did-list-trail = { $author } führt auf: { $trail }
did-trail-open = { $listener ->
    [you] { $author } hat diese Spur eröffnet, Ihre eigene für { $year }
   *[other] { $author } hat diese Spur eröffnet, die eigene der betroffenen Person für { $year }
}
did-trail-open-for = { $author } hat diese Spur eröffnet, für Zugriffe von { $name } im Jahr { $year }
did-trail-close = { $author } hat diese Spur geschlossen: Es kommt keine Regel mehr hinzu
did-register = { $author } hat { $id } eingetragen als { $roles }
did-update = { $author } hat den Eintrag von { $id } geändert (jetzt { $roles })
did-suspend = { $author } hat { $name } ausgesetzt (Grund: { $reason })
did-key-add = { $author } hat einen Schlüssel für { $name } hinzugefügt (Verwendung: { $purpose })
did-key-rotate = { $author } hat Schlüssel { $key } ersetzt, beide gelten noch { $span }
did-key-revoke = { $author } hat Schlüssel { $key } widerrufen (Grund: { $reason })
did-kind = { $author } hat aufgezeichnet: { $kind }

## Was die Validatoren fanden

found-consistent = stimmt mit dem überein, was aufgezeichnet ist
found-consistent-noted = stimmt mit dem überein, was aufgezeichnet ist; vermerkt: { $codes }
found-contradicted = WIDERSPRUCH: { $codes }
found-not-evaluated = nichts daran konnte geprüft werden
found-not-evaluated-noted = nichts daran konnte geprüft werden; vermerkt: { $codes }

## Werte in versiegelten Feldern

value-with-note = { $words } ({ $note })
value-quoted = „{ $words }“
value-unknown = unbekannt ({ $reason })
value-unnamed = nicht benannt
value-none = keine
value-nothing-further = nichts weiter
value-somebody = jemand
value-unreadable = passt zum Siegel, kann von diesem Programm aber nicht gelesen werden
value-consent = Einwilligung { $name }
value-on-behalf = im Auftrag von { $name }
value-requestor = hat es angefordert
value-search = eine Suche
value-labelled = gekennzeichnet als { $labels }
value-decided = { $count ->
    [one] { $answer }, nach { $count } Regel
   *[other] { $answer }, nach { $count } Regeln
}
value-group = { $count ->
    [one] ein einzelnes Ereignis
   *[other] { $count } gleichartige Ereignisse
}
value-group-between = { $count } gleichartige Ereignisse zwischen { $start } und { $end }
value-group-uncounted = eine ungezählte Gruppe
value-profile = Profil { $name }
value-missing = unvollständig: es fehlt { $elements }
value-not-carried = nicht übernommen: { $elements }
value-listed-trail = die Spur der Zugriffe von { $name } im Jahr { $year }
value-listed-own = die eigene Spur von { $year }
value-own-trail = die eigene Spur der betroffenen Person von { $year }
rule-except = ausgenommen: { $rule }
rule-opposite = das Gegenteil
rule-purposes = Zweck: { $what }
rule-actors = für { $what }
rule-actions = Vorgang: { $what }
rule-labels = Daten mit Kennzeichnung: { $what }
rule-classes = Klasse: { $what }
rule-codes = Code: { $what }
rule-data = Daten: { $what }
rule-data-period = Daten { $span }
rule-period = gültig { $span }
evidence-source = Quelle { $name }
evidence-hash = Inhalt mit SHA-256 { $hash }
evidence-verified = { $count ->
    [one] einmal mit der betroffenen Person oder Angehörigen geprüft
   *[other] { $count }-mal mit der betroffenen Person oder Angehörigen geprüft
}

## Verwaltung des Netzes

did-propose = { $author } hat vorgeschlagen: { $acts } (Vorschlag { $id })
did-vote = { $author } hat über Vorschlag { $id } abgestimmt: { $choice }
did-report-misbehaviour = { $author } hat gemeldet, dass der Validator mit Schlüssel { $key } in Höhe { $height } zwei Stimmen ({ $vote }) unterschrieben hat
did-commit-roster = { $author } hat sich auf eine Personalliste mit { $count } Einträgen festgelegt, bis { $until }
did-mandate = { $author } hat { $auditor } ein Mandat für die Spuren von { $custodian } gegeben, von { $from } bis { $to }
did-mandate-end = { $author } hat das Mandat von { $auditor } für die Spuren von { $custodian } beendet
did-notarise = { $author } hat ein Dokument ({ $schema }) mit Prüfsumme { $digest } beurkundet
did-finding = { $author } hat eine Feststellung über { $name } aufgezeichnet, nach Regel { $rule }
did-dispute = { $author } hat Streitfall { $id } mit { $name } eröffnet
did-dispute-answer = { $author } hat auf Streitfall { $id } geantwortet
did-dispute-resolve = { $author } hat Streitfall { $id } beendet: { $resolution }

## Genehmigungen, Notfälle, Übergaben, Lebenszyklen

due-unknown = eine Frist ist abgelaufen
did-declare = { $author } erklärt einen Notfall ({ $id }): { $acting } handelt mit Daten von { $custodian }
did-review = { $author } gibt an, den von { $name } erklärten Notfall { $id } nachgeprüft zu haben
did-permit = { $author } hat Datengenehmigung { $id } erteilt: { $terms }
did-permit-amend = { $author } hat Datengenehmigung { $id } geändert: { $terms }
did-permit-revoke = { $author } hat Datengenehmigung { $id } widerrufen (Grund: { $reason })
permit-terms = { $user } darf { $form } Daten ({ $categories }) von { $holders } nutzen, Zweck: { $purposes }, von { $begins } bis { $ends }
did-correct = { $author } nimmt zurück, was als Ereignis { $id } angegeben war (was falsch war: { $reason })
did-export = { $author } gibt an, Daten an { $name } gegeben zu haben (Übergabe { $id })
did-across = { $told }, von { $from } nach { $to }
did-import = { $author } gibt an, Daten von { $name } erhalten zu haben (Übergabe { $id })
did-job = { $author } gibt einen Schritt unter Datengenehmigung { $id } an: { $step }
did-record = { $author } gibt an, was aus einem Datensatz wurde: { $step }
did-audit-read = { $author } gibt an, als Prüfstelle { $count } Einträge bei { $name } gelesen zu haben
did-hold-trail = { $author } hat angeordnet, dass diese Spur aufzubewahren ist (Anordnung { $id })
did-hold-all = { $author } hat angeordnet, dass alles bei { $name } aufzubewahren ist (Anordnung { $id })
did-hold-lift = { $author } hat Anordnung { $id } aufgehoben
did-erase = { $author } hat die Einträge { $from } bis { $to } dieser Spur gelöscht: { $reason }
did-agent-add = { $author } hat benannt, wer in dieser Spur für die Person sprechen darf: { $who }
did-agent-remove = { $author } hat das Recht von { $who } beendet, in dieser Spur für die Person zu sprechen
value-subject-key = der Schlüssel { $key } der Person
value-outside = jemand außerhalb dieses Netzes
value-representative = Vertretung
value-delegation = { $who } als { $kind }
value-unsafe = Zugriff dieser Person gilt als unsicher für die Patientin oder den Patienten
value-rekey = der Code hat jetzt die Nummer { $generation } ({ $reason })
value-linked = die Spur bei { $name } von { $year } ({ $reason })
