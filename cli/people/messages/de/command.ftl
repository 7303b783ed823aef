# Was Befehle neben Einträgen und Berichten sagen.

hint-evidence = das ist ein Beweisstück: die Datei aufheben und von der Stelle, die sie ausgab, eine andere verlangen
receipt-verified = bestätigt
receipt-not-verified-yet = noch nicht bestätigt: custos verify
receipt-written = { $count } Bytes
trail-head-by = Zugriffe von
trail-head-participant = Teilnehmer
trail-head-entries = Einträge
trail-head-trail = Spur
trail-own = (eigene Spur)
trail-your-own = Ihre eigene Spur
trail-of-grantee = Zugriffe von { $name }
trail-of = Spur ({ $kind }) von { $owner }
trail-place = Eintrag { $item }, Block { $height }
trail-empty = Hier ist nichts aufgezeichnet.
trail-complete = vollständig
trail-extent = { $count ->
    [one] { $trail }: ihr einziger Eintrag bis Block { $height } ({ $time })
   *[other] { $trail }: alle { $count } Einträge bis Block { $height } ({ $time })
}
trail-as-of = Stand: Block { $height } ({ $time }).
ground-own = Bestätigt von Ihrem Anker aus.
ground-node = Nur vom Anfangsblock aus bestätigt, den der Knoten selbst nennt: Mit --anchor muss man dem Knoten nicht glauben.
ground-old-block = der letzte Block, den dieser Knoten zeigt, ist vom { $time }: Er ist im Rückstand oder verbirgt, was danach kam; einen anderen Knoten fragen oder --not-older-than angeben
label-kind = Art
label-says = sagt
label-expires = läuft ab
label-ends = beendet
label-evidence = Nachweis
label-state = Stand
rule-state-recorded = aufgezeichnet in Block { $height }, von diesem Datenhalter nicht beendet
rule-state-ended = aufgezeichnet in Block { $height }, seither beendet
rule-state-prepared = versiegelt; nicht bekannt, ob aufgezeichnet
rule-state-dropped = vom Verzeichnis abgelehnt
