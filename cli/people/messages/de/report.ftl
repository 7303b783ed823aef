# Gesetzliche Auskünfte. Sie nennen das Gesetz, dem sie folgen, und behalten seine Begriffe.

column-part = Teil
column-remark = Bemerkung
part-entry = Eintrag
column-date = Datum
column-time = Datum und Uhrzeit
column-recipient = Empfänger
column-address = Anschrift
column-description = Beschreibung
column-purpose = Zweck
column-number = Anzahl
column-last = zuletzt
column-finding = Befund der Validatoren
column-item = Eintrag
column-organisation = Organisation
column-persons = Personen
column-categories = Daten
column-origin = Herkunft
column-action = Vorgang
column-ground = Grund
section-left-out = Nicht in der Tabelle, aber gezählt
section-withheld = Zurückgehalten oder nicht mehr aufbewahrt
section-sources = Aus diesen bestätigten Beweisen erstellt
section-limits = Was dies nicht abdeckt
report-left-out = { $reason }: { $count }
report-no-rows = In dieser Zeit ist nichts aufzuführen.
report-custodian = Auskunft von: { $custodian }
report-period = Vom { $from } bis { $to }
report-not-stated = nicht angegeben
source-chain = Kette { $chain }
source = { $name }: Spur { $key }, { $extent }, Stand Block { $height } vom { $time } (Blockkennung { $block }), bestätigt von einem Anker bei Block { $anchor } aus
source-absent = nachweislich ohne Einträge
source-complete = { $count ->
    [one] vollständig, mit ihrem einzigen Eintrag
   *[other] vollständig, mit allen { $count } Einträgen
}
source-part = { $count } von { $size } Einträgen
limit-custodian = Nur, was { $custodian } hält. Andere Datenhalter geben selbst Auskunft.
limit-recorded = Zugriffe, die nie aufgezeichnet wurden. Bewiesen ist die Vollständigkeit der Spuren, nicht die der Welt.
limit-later = Was nach { $time } aufgezeichnet wurde.
limit-stated = Ob stimmt, was angegeben wird. Jede Zeile sagt, was Datenhalter oder Empfänger angeben.
limit-part = Einträge einer Spur außerhalb des gezeigten Teils.
limit-sealed = { $count ->
    [one] Der Inhalt von { $count } Eintrag, der versiegelt ist und nicht geöffnet werden konnte. Er ist aufgeführt, weil sich nicht sagen ließ, ob er hierher gehört.
   *[other] Der Inhalt von { $count } Einträgen, die versiegelt sind und nicht geöffnet werden konnten. Sie sind aufgeführt, weil sich nicht sagen ließ, ob sie hierher gehören.
}
left-out-refused = kein Zugriff: abgewiesen oder misslungen
left-out-before = vor dem Zeitraum
hipaa-title = Aufstellung der Offenlegungen geschützter Gesundheitsdaten
hipaa-law = 45 CFR 164.528 (USA)
hipaa-treatment = zur Behandlung (164.528(a)(1)(i))
hipaa-payment = zur Abrechnung (164.528(a)(1)(i))
hipaa-operations = für den Betrieb der Einrichtung, oder für mehrere ausgenommene Zwecke zugleich (164.528(a)(1)(i))
hipaa-individual = an die betroffene Person (164.528(a)(1)(ii))
hipaa-use = Nutzungen innerhalb des Datenhalters, die keine Offenlegungen sind
hipaa-country = nicht bekannt (Land: { $country })
hipaa-no-address = nicht bekannt
hipaa-limit-authorization = Offenlegungen aufgrund einer Einwilligung sind aufgeführt: Ob die Einwilligung eine Ermächtigung nach 164.508 ist, die sie ausnähme, ist hier nicht bekannt.
hipaa-limit-other-exemptions = Die Ausnahmen nach 164.528(a)(1)(iii) und (v) bis (ix) sowie Aussetzungen für Behörden nach (a)(2), soweit nicht als zurückgehalten gezeigt, werden nicht angewandt: Solche Offenlegungen sind aufgeführt.
hipaa-limit-address = Anschriften stehen da, wo die Quelle eine angibt; das Register kennt nur das Land eines Teilnehmers.
ehds-title = Auskunft über Zugriffe auf elektronische Gesundheitsdaten
ehds-law = Verordnung (EU) 2025/327 (Europäischer Gesundheitsdatenraum), Artikel 9 und Anhang II, 3.2
ehds-free = Diese Auskunft ist kostenfrei.
ehds-emergency = Notfall ({ $ground })
ehds-limit-restriction = Was aufgrund einer Beschränkung nach Artikel 9 Absatz 3 zurückgehalten wird, ist oben gezählt und benannt; der Inhalt ist nicht hier.
worklist-title = Arbeitsliste der Datenschutzstelle
worklist-of = Einrichtung: { $name }
worklist-count = { $count ->
    [one] { $count } Punkt anzusehen
   *[other] { $count } Punkte anzusehen
}
worklist-imported = aus früheren Systemen übernommene Zugriffe, deren fehlende Gründe und Behandlungen nicht aufgeführt sind
worklist-key-ending = der Schlüssel { $id } (Verwendung: { $purpose }) endet am { $time }: vorher mit Überlappung ersetzen
worklist-key-compromised = andere könnten den Schlüssel { $id } (Verwendung: { $purpose }) kennen seit { $time }
worklist-limit-sealed = { $count ->
    [one] { $count } Zugriff, dessen Inhalt versiegelt ist: Über Behandlung, Vollständigkeit und Ausgang lässt sich nichts sagen.
   *[other] { $count } Zugriffe, deren Inhalt versiegelt ist: Über Behandlungen, Vollständigkeit und Ausgänge lässt sich nichts sagen.
}
worklist-limit-recorded = Zugriffe, die nie aufgezeichnet wurden.
worklist-limit-keys = Das Ende von Schlüsseln ist eine Angabe des befragten Knotens, nicht bewiesen.
column-why = Anlass
column-recorded = aufgezeichnet
column-patient = Person
column-entry = Eintrag
why-contradicted = widerspricht dem, was aufgezeichnet ist
why-unreviewed = ausgerufener Notfall ohne Überprüfung
why-unmatched = die Gegenseite einer Übermittlung fehlt
why-emergency = Notfallzugriff zu überprüfen
why-overdue = eine Frist ist abgelaufen
why-unrelated = Behandlung ohne angegebenen Behandlungsbezug
why-no-ground = kein Grund
why-gap = Nummern fehlen in einer Reihe
why-out-of-order = Nummer außer der Reihe
why-late = verspätet aufgezeichnet
why-incomplete = unvollständige Quelle
why-key-compromised = Schlüssel anderen bekannt
why-key-ending = Schlüssel läuft bald ab
