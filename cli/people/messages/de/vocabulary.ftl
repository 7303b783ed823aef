# Das Vokabular der Formate: je Wert eine Meldung, nach ihm benannt.

## Arten von Einträgen

kind-participant-register = Aufnahme eines Teilnehmers
kind-participant-update = Änderung eines Teilnehmers
kind-participant-suspend = Aussetzung eines Teilnehmers
kind-key-add = Hinzufügen eines Schlüssels
kind-key-rotate = Ersetzen eines Schlüssels
kind-key-revoke = Widerruf eines Schlüssels
kind-trail-open = Eröffnung einer Spur
kind-trail-close = Schließung einer Spur
kind-rule-put = eine Regel der betroffenen Person
kind-access-event = ein Zugriff

## Versiegelte Felder

field-name = Name
field-back-pointer = Rückverweis
field-inner-kind = Art der Regel
field-body = Regel
field-evidence = Nachweis
field-action = Vorgang
field-outcome = Ausgang
field-when = Zeitpunkt
field-purpose = Zweck
field-legal-basis = Rechtsgrundlage
field-categories = Kategorien
field-origins = Herkunft
field-agents = Beteiligte
field-relationship = Behandlung
field-resources = Unterlagen
field-labels = Kennzeichen
field-justification = Begründung
field-decision = Entscheidung
field-correlation = Zuordnung
field-group = Gruppe
field-source = Quelle

## Teilnehmer und Schlüssel

registry-role-custodian = Datenhalter
registry-role-recipient = Empfänger
registry-role-data-user = Datennutzer
registry-role-access-body = Zugangsstelle
registry-role-agent = Beauftragter betroffener Personen
registry-role-auditor = Revisor
registry-role-validator = Validator
registry-role-registrar = Registerführer
registry-role-observer = Beobachter
key-purpose-sign = Unterschreiben
key-purpose-consensus = Abstimmen über Blöcke
key-purpose-transport = Transport
key-purpose-note = Unterschreiben von Prüfpunkten
key-purpose-vault = Tresor
reason-unspecified = keiner angegeben
reason-compromised = ein Geheimnis könnte bekannt sein
reason-superseded = durch einen anderen ersetzt
reason-ceased = Betrieb eingestellt
reason-breach = Vereinbarung verletzt
reason-request = auf eigenen Wunsch
trail-kind-subject = betroffene Person
trail-kind-institution = Einrichtung
trail-kind-permit = Genehmigung
trail-kind-registry = Register

## Ein Zugriff: offene Angaben

basis-unknown = nicht angegeben
basis-consent = Einwilligung
basis-law = Gesetz
basis-permit = Datengenehmigung
basis-emergency = Notfall
basis-subject = betroffene Person
late-none = nicht verspätet
late-spooled = verspätet aufgezeichnet: lag in einer Warteschlange
late-imported-history = aus einem früheren System übernommen
retention-standard = gewöhnliche Frist
retention-short = kürzere Frist
retention-long = längere Frist
collected-paper = unterschriebenes Papier
collected-in-person = persönlich gesagt
collected-portal = über ein Portal
collected-e-signature = elektronische Unterschrift
collected-custodian = ein Eintrag des Datenhalters selbst

## Was die Validatoren fanden

finding-consistent = stimmig
finding-contradicted = widersprüchlich
finding-not-evaluated = nicht geprüft
check-author = der Verfasser ist aktiver Teilnehmer in einer Rolle, die dies angeben darf
check-trail = die Spur gehört dem angegebenen Datenhalter und gilt der angegebenen Organisation
check-rule = die angeführte Regel steht in dieser Spur und galt, als über den Zugriff entschieden wurde
check-permit = die angeführte Genehmigung deckt ihn
check-emergency = der angeführte Notfall war erklärt
check-lag = über den Zugriff wurde innerhalb der zulässigen Zeit vor der Aufzeichnung entschieden
check-event = das Ereignis war noch nicht aufgezeichnet
check-sequence = die Nummerierung des Verfassers hat hier keine Lücke
code-author-suspended = der Verfasser war ausgesetzt
code-author-role = der Verfasser hat keine Rolle, die dies angeben darf
code-author-not-party = der Verfasser ist weder der Datenhalter noch die handelnde Organisation
code-unknown-custodian = der angegebene Datenhalter steht nicht im Register
code-unknown-acting = die handelnde Organisation steht nicht im Register
code-trail-not-open = die Spur wurde vom angegebenen Datenhalter nie eröffnet
code-trail-closed = die Spur war geschlossen
code-acting-not-grantee = die handelnde Organisation ist nicht die, für die diese Spur gilt
code-other-epoch = die Spur gehört zu einem anderen Kalenderjahr
code-nothing-cited = der angegebene Grund führt nichts an
code-unknown-rule = die angeführte Regel steht nicht in dieser Spur
code-rule-not-yet = die angeführte Regel wurde erst aufgezeichnet, nachdem über den Zugriff entschieden war
code-rule-ended = die angeführte Regel war schon beendet, als über den Zugriff entschieden wurde
code-rule-expired = die angeführte Regel war schon abgelaufen, als über den Zugriff entschieden wurde
code-unknown-permit = die angeführte Genehmigung ist hier nicht aufgezeichnet
code-unknown-emergency = der angeführte Notfall wurde hier nicht erklärt
code-late = später aufgezeichnet, als die Richtlinie erlaubt
code-future-height = die angegebene Höhe war noch nicht erreicht
code-event-reused = unter dieser Ereignisnummer ist ein anderes Ereignis dieses Verfassers aufgezeichnet
code-gap = vor dieser Nummer fehlen Nummern in der Reihe des Verfassers
code-out-of-order = die Nummer folgt nicht auf die letzte in der Reihe des Verfassers
code-cited-in-vain = etwas wird angeführt, obwohl der angegebene Grund keine Anführung braucht
code-imported = aus einem früheren System übernommen, ohne dieses Verzeichnis entschieden

## Ein Zugriff: versiegelte Wörter

action-read = gelesen
action-query = durchsucht
action-create = neu geschrieben
action-update = geändert
action-delete = gelöscht
action-export = herausgegeben
action-import = übernommen
action-execute = ein Vorgang
action-start-break-glass = Beginn eines Notfallzugriffs
action-stop-break-glass = Ende eines Notfallzugriffs
outcome-served = gewährt
outcome-denied = abgewiesen
outcome-overridden = entgegen einer Ablehnung gewährt
outcome-failed = misslungen
agent-person = eine Person
agent-software = ein Programm
agent-device = ein Gerät
agent-organisation = eine Organisation
relationship-none = keine
relationship-encounter = ein Besuch oder Aufenthalt
relationship-referral = eine Überweisung
relationship-appointment = ein Termin
relationship-team = das behandelnde Team
relationship-patient-present = die Person war anwesend
relationship-on-call = Bereitschaftsdienst
answer-permit = erlaubt
answer-deny = verweigert
answer-indeterminate = nicht entscheidbar
unstated-not-stated = von der Quelle nicht angegeben
unstated-not-applicable = trifft nicht zu
unstated-not-understood = von der Quelle in einer Form angegeben, die nicht verstanden wurde
unstated-withheld = von der Quelle zurückgehalten
format-direct = direkt eingegeben
format-fhir-r4-audit-event = FHIR R4 AuditEvent
format-fhir-r4-consent = FHIR R4 Consent
format-fhir-r5-audit-event = FHIR R5 AuditEvent
format-fhir-r5-consent = FHIR R5 Consent

## Regeln

effect-permit = erlauben
effect-deny = verweigern
inner-grant = eine Erlaubnis
inner-replace = eine Regel anstelle einer früheren
inner-renew = eine frühere Regel gilt weiter
inner-narrow = eine frühere Regel wird eingeengt
inner-revoke = eine frühere Regel endet
inner-invalidate = eine frühere Regel war irrtümlich eingetragen
inner-refuse = gefragt und abgelehnt
inner-restriction = eine Einschränkung
inner-opt-out = ein Widerspruch (Opt-out)
inner-lift = eine Einschränkung oder ein Widerspruch endet
inner-view-suspend = Einträge werden der Ansicht entzogen
inner-acknowledge = das Ende einer Regel wird bestätigt
inner-lists-trail = eine weitere Spur wird aufgeführt
meaning-instance = selbst
meaning-related = und was damit zusammenhängt
meaning-dependents = und was davon abhängt
meaning-authored-by = was diese Partei geschrieben hat

## Verwaltung des Netzes

kind-proposal-open = ein Vorschlag
kind-proposal-vote = eine Stimme zu einem Vorschlag
kind-policy-set = Änderung der Richtlinie
kind-protocol-upgrade = Änderung des Protokolls
kind-validator-put = Aufnahme oder Änderung eines Validators
kind-validator-remove = Entfernung eines Validators
kind-misbehaviour-report = Meldung eines Fehlverhaltens
kind-roster-commit = Festlegung auf eine Personalliste
kind-mandate-issue = Mandat zur Prüfung
kind-mandate-end = Ende eines Mandats
kind-notarise = Beurkundung eines Dokuments
kind-finding-record = eine Feststellung
kind-dispute-open = ein Streitfall
kind-dispute-answer = Antwort in einem Streitfall
kind-dispute-resolve = Ende eines Streitfalls
field-wrapped-keys = verpackte Schlüssel
field-pointer = Verweis
field-words = in Worten
check-evidence = die beiden Stimmen sind mit diesem Schlüssel unterschrieben und widersprechen sich
code-no-consensus-key = der gemeldete Schlüssel ist kein Abstimmungsschlüssel des Registers
code-vote-not-signed = eine gemeldete Stimme ist nicht mit diesem Schlüssel unterschrieben
code-votes-agree = die gemeldeten Stimmen widersprechen sich nicht oder stehen nicht in ihrer Reihenfolge
code-reported-before = dieses Fehlverhalten wurde schon gemeldet
code-height-ahead = die gemeldete Höhe ist noch nicht erreicht
choice-yes = ja
choice-no = nein
vote-prevote = erste Stimme
vote-precommit = zweite Stimme
resolution-dismissed = abgewiesen
resolution-corrected = berichtigt
resolution-upheld = bestätigt
resolution-withdrawn = zurückgezogen
