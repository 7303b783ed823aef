# Häufige Codes. Was hier nicht steht, wird mit den Worten der Quelle gesagt.

## Zwecke (HL7 v3 ActReason)

purpose-TREAT = Behandlung
purpose-ETREAT = Notfallbehandlung
purpose-BTG = Notfallzugriff entgegen einer Ablehnung
purpose-CAREMGT = Versorgungssteuerung
purpose-CLINTRL = Behandlung in einer klinischen Studie
purpose-COC = Koordination der Versorgung
purpose-POPHLTH = Bevölkerungsgesundheit
purpose-HPAYMT = Abrechnung
purpose-CLMATTCH = Anlage zu einer Abrechnung
purpose-COVAUTH = Genehmigung der Kostenübernahme
purpose-COVERAGE = Fragen der Kostenübernahme
purpose-ELIGDTRM = Feststellung des Anspruchs
purpose-ELIGVER = Prüfung des Anspruchs
purpose-ENROLLM = Aufnahme in einen Tarif
purpose-REMITADV = Zahlungsavis
purpose-HOPERAT = Betrieb der Einrichtung
purpose-DONAT = Spende
purpose-FRAUD = Betrugsbekämpfung
purpose-GOV = staatliche Zwecke
purpose-HACCRED = Akkreditierung
purpose-HCOMPL = Einhaltung von Vorschriften
purpose-HDECD = Angelegenheiten Verstorbener
purpose-HDIRECT = ein Verzeichnis von Personen
purpose-HDM = Verwaltung der Einrichtung
purpose-HLEGAL = rechtliche Zwecke
purpose-HOUTCOMS = Ergebnismessung
purpose-HQUALIMP = Qualitätsverbesserung
purpose-HSYSADMIN = Systemverwaltung
purpose-HTEST = Tests mit Testdaten
purpose-HTRAIN = Ausbildung
purpose-LABELING = Kennzeichnung von Daten
purpose-MEMADMIN = Mitgliederverwaltung
purpose-METAMGT = Verwaltung von Metadaten
purpose-MILCDM = militärische Führung
purpose-PATADMIN = Patientenverwaltung
purpose-PATSFTY = Patientensicherheit
purpose-PERFMSR = Leistungsmessung
purpose-RECORDMGT = Aktenverwaltung
purpose-SYSDEV = Systementwicklung
purpose-HRESCH = Gesundheitsforschung
purpose-BIORCH = biomedizinische Forschung
purpose-CLINTRCH = klinische Studien
purpose-DSRCH = Forschung zu einer Krankheit
purpose-POARCH = Herkunftsforschung
purpose-PRECLINTRCH = vorklinische Forschung
purpose-TRANSRCH = translationale Forschung
purpose-PATRQT = Wunsch der Person selbst
purpose-FAMRQT = Wunsch der Familie
purpose-PWATRNY = Wunsch einer bevollmächtigten Person
purpose-SUPNWK = ein Unterstützungsnetz
purpose-PUBHLTH = öffentliche Gesundheit
purpose-DISASTER = eine Katastrophe
purpose-THREAT = eine Bedrohung
purpose-HMARKT = Werbung

## Kategorien von Daten, nach den LOINC-Codes ihrer Dokumente

category-60591-5 = Patientenkurzakte
category-57833-6 = elektronisches Rezept
category-60593-1 = elektronische Abgabe
category-18748-4 = medizinische Bilder und ihre Befunde
category-11502-2 = Laborbefund
category-26436-6 = Laborergebnisse
category-34105-7 = Entlassungsbericht
category-18842-5 = Entlassungsbrief
category-10160-0 = Medikamentenliste
category-48765-2 = Allergien

## Vertraulichkeit

confidentiality-U = unbeschränkt
confidentiality-L = gering vertraulich
confidentiality-M = mäßig vertraulich
confidentiality-N = normal vertraulich
confidentiality-R = eingeschränkt
confidentiality-V = stark eingeschränkt

## Arten von Unterlagen (FHIR), im Akkusativ

resource-Patient = eine Patientenakte
resource-Observation = eine Beobachtung
resource-DiagnosticReport = einen Befund
resource-MedicationRequest = eine Verordnung
resource-MedicationStatement = eine Angabe zur Medikation
resource-DocumentReference = ein Dokument
resource-Condition = eine Diagnose
resource-AllergyIntolerance = eine Allergie
resource-Immunization = eine Impfung
resource-Procedure = eine Maßnahme
resource-Encounter = einen Besuch oder Aufenthalt
resource-ImagingStudy = medizinische Bilder
resource-Consent = eine Einwilligung
resource-List = eine Liste
resource-Bundle = eine Zusammenstellung von Unterlagen
resource-Binary = eine Datei
resource-Task = eine Aufgabe
resource-ServiceRequest = eine Anforderung
resource-CarePlan = einen Behandlungsplan
resource-Composition = ein zusammengestelltes Dokument
resource-MeasureReport = einen Bericht zu einer Messgröße

## Rollen: das Wort, und wer sie hat

role-physician = Ärztin oder Arzt
    .one = eine Ärztin oder ein Arzt
role-nurse = Pflegekraft
    .one = eine Pflegekraft
role-pharmacist = Apothekerin oder Apotheker
    .one = eine Apothekerin oder ein Apotheker
role-dentist = Zahnärztin oder Zahnarzt
    .one = eine Zahnärztin oder ein Zahnarzt
role-midwife = Hebamme
    .one = eine Hebamme
role-researcher = Forscherin oder Forscher
    .one = eine Forscherin oder ein Forscher
