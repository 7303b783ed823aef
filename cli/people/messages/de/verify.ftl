# Der Bericht einer Prüfung, und woran sie scheiterte.
#
# Auseinanderhalten: was bewiesen ist, was angegeben wird, was geprüft wurde.

verified = BESTÄTIGT
not-verified = NICHT BESTÄTIGT: { $file }: { $why }
could-not-tell = nicht zu entscheiden: { $file }: { $why }
verified-receipt = ein Beleg über einen Eintrag: { $kind }
verified-absence = ein Fehlen: Auf dieser Spur ist nie etwas aufgezeichnet worden
verified-complete = { $count ->
    [one] eine vollständige Spur: ihr einziger Eintrag
   *[other] eine vollständige Spur: alle { $count } Einträge
}
verified-part = ein Teil einer Spur: { $count } von { $size } Einträgen, ohne Lücke dazwischen
heading-proven = Bewiesen
heading-stated = Angegeben von { $author }, und hierdurch nicht bewiesen
heading-checked = Von den Validatoren beim Aufzeichnen geprüft
heading-sealed = Versiegelte Felder
heading-entries = Einträge: Bewiesen ist, dass jeder aufgezeichnet und unterschrieben wurde; was er sagt, ist angegeben, nicht bewiesen
heading-not-shown = Nicht gezeigt
heading-not-proven = Nicht bewiesen
label-recorded = aufgezeichnet
label-signed = Unterschrift
label-agreed = Einigung
label-trust = Vertrauen
label-chain = Kette
label-item = Eintrag
label-trail = Spur
label-as-of = Stand
label-entries = Einträge
label-covers = umfasst
verified-place = in Block { $height }, Blockzeit { $time }, als Nummer { $index } des Verzeichnisses
verified-recorded = aufgezeichnet { $place }
verified-signed = unterschrieben von { $signature }
verified-as-of = Block { $height }, Blockzeit { $time }
verified-agreed = { $count } von { $of } Validatoren: { $names }
verified-trail-name = Art: { $kind }, Inhaber: { $owner }, Schlüssel { $key }
verified-trust-period = folgt aus dem Anker (Block { $height }, { $time }), innerhalb seiner Vertrauensfrist (Länge: { $span })
verified-trust-witnesses = folgt aus dem Anker (Block { $height }, { $time }), und { $count } seiner Zeugen haben ein Verzeichnis mitunterschrieben, das es enthält
verified-anchor-old = Der Anker ist vom { $time }, Alter: { $age }; das ist mehr als die Vertrauensfrist (Länge: { $span }). Eine in diese Frist zurückdatierte Fälschung mit Schlüsseln, die Validatoren seither abgelegt haben, kann nicht ausgeschlossen werden. Ein Anker muss mit `custos anchor update` vorgerückt werden, bevor er so alt ist. An die Stelle dieses Ankers muss ein neuer treten, von jemandem, dem Sie vertrauen (etwa dem Datenhalter oder einem Prüfer), verglichen mit einem zweiten
verified-looked-at = angesehen: { $check }
verified-sealed = { $count } versiegelte Felder, nicht gezeigt
verified-opened = { $open } von { $count } versiegelten Feldern geöffnet; jedes passt zu seinem Siegel
verified-not-shown = { $withheld } auf Anordnung zurückgehalten, { $pruned } nicht mehr aufbewahrt oder ohne Eintrag: oben mitgezählt, der Inhalt ist nicht hier
verified-not-proven = dass alles aufgezeichnet wurde, was geschah, oder dass stimmt, was angegeben wird
sealed-not-shown = versiegelt, nicht gezeigt
extent-none = keine, bis zu diesem Block; spätere sind nicht erfasst
extent-all = { $count ->
    [one] dieser eine ist alles, was bis zu diesem Block darauf aufgezeichnet wurde; spätere sind nicht erfasst
   *[other] diese { $count } sind alle, die bis zu diesem Block darauf aufgezeichnet wurden; spätere sind nicht erfasst
}
extent-part = Nummern { $from } bis { $to } von { $size }, bis zu diesem Block
covers-between = alles, was vom { $from } bis zum { $to } aufgezeichnet wurde
covers-from-beginning = alles, was vom Beginn bis zum { $to } aufgezeichnet wurde
covers-nothing = keine Sekunde ganz; bewiesen ist nur, dass diese ohne Lücke aufeinander folgen
signature = { $author }, mit Schlüssel { $key }, der damals gültig war
signature-not-strict = { $words } (gültig nach ZIP-215, der Regel des Verzeichnisses; eine strengere Prüfung würde sie ablehnen)
signature-compromised = { $words }; laut Inhaber könnten andere diesen Schlüssel kennen seit { $time }

failure-form = ein Teil ({ $what }) ist nicht wohlgeformt: { $detail }
failure-envelope = der Umschlag ist nicht wohlgeformt: { $detail }
failure-other-chain = die Datei gehört zur Kette { $found }, der Anker zur Kette { $anchor }; den Anker jenes Netzes verwenden
failure-protocol = der Blockkopf hat Protokollversion { $version }, die dieses Programm nicht kennt; ein neueres verwenden
failure-fork = in Höhe { $height } steht ein anderer Block als der des Ankers: Die Datei ist gefälscht, oder die Validatoren haben zwei Verläufe unterschrieben
failure-certificate-of-another = das Zertifikat gehört zu einem anderen Block als der Blockkopf
failure-certificate = der Blockkopf ist nicht bestätigt: { $detail }
failure-bad-link = das Glied in Höhe { $height } hält nicht
failure-header-time = die Zeit des Blockkopfs in Höhe { $height } folgt nicht aus denen des Ankers und der Glieder davor
failure-unlinked = die Validatoren in Höhe { $height } folgen nicht aus dem Anker; die Glieder mit `custos anchor links` holen und mit --links angeben, oder für einen Block vor dem Anker den älteren Anker nehmen
failure-too-old = der Blockkopf ist vom { $time }, älter als verlangt; einen neueren Beweis holen
failure-witnesses = die Mitunterschriften der Zeugen gelten nicht für diesen Blockkopf
failure-retired-keys = unterschrieben von Validatoren, die aus dem Anker vom { $anchor } folgen; zum { $target } ist das zu lange her: Eine Fälschung mit seither abgelegten Schlüsseln konnte nicht ausgeschlossen werden. Ein Anker muss mit `custos anchor update` vorgerückt werden, bevor er 90 Tage alt ist; an die Stelle dieses Ankers muss ein neuer treten, von jemandem, dem Sie vertrauen, verglichen mit einem zweiten
failure-not-in-log = der Datensatz steht nicht in dem Verzeichnis, das der Blockkopf festlegt
failure-record-time = Höhe oder Zeit des Datensatzes passen nicht zum Blockkopf
failure-other-item = der Datensatz gehört zu einem anderen Eintrag
failure-other-submission = der Datensatz gehört zu einer anderen Einreichung
failure-not-signed = der Eintrag gehört nicht zu denen, die der Verfasser unterschrieben hat
failure-other-class = der Eintrag ist nicht von der Klasse, für die der Verfasser unterschrieben hat
failure-key-proof = der Schlüssel des Verfassers steht nicht in dem Zustand, den der Blockkopf festlegt
failure-key-not-valid = der Schlüssel war kein gültiger Schlüssel des Verfassers, als der Eintrag aufgezeichnet wurde
failure-key-missing = dem Beweis fehlt der Schlüssel eines Verfassers
failure-author-signature = die Unterschrift des Verfassers ist ungültig
failure-trail-head = Länge und Wurzel der Spur stehen nicht in dem Zustand, den der Blockkopf festlegt
failure-trail-root = die Einträge ergeben nicht die Wurzel der Spur: Etwas fehlt, kam hinzu oder wurde geändert
failure-not-listed = der Datensatz des Eintrags { $position } ist dort nicht verzeichnet
failure-contradiction = der Beweis widerspricht sich selbst
failure-opening = die Öffnung von Feld { $field } des Eintrags { $item } passt nicht zu seinem Siegel
