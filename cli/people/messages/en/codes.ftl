# Codes that people meet often. What is not here is said in the source's own words.

## Purposes of use (HL7 v3 ActReason)

purpose-TREAT = treatment
purpose-ETREAT = emergency treatment
purpose-BTG = emergency access against a refusal
purpose-CAREMGT = care management
purpose-CLINTRL = treatment in a clinical trial
purpose-COC = coordination of care
purpose-POPHLTH = population health
purpose-HPAYMT = payment for health care
purpose-CLMATTCH = an attachment to a claim
purpose-COVAUTH = authorisation of coverage
purpose-COVERAGE = matters of coverage
purpose-ELIGDTRM = determining eligibility
purpose-ELIGVER = verifying eligibility
purpose-ENROLLM = enrolment in a plan
purpose-REMITADV = advice of payment
purpose-HOPERAT = health care operations
purpose-DONAT = donation
purpose-FRAUD = fraud
purpose-GOV = a government's purposes
purpose-HACCRED = accreditation
purpose-HCOMPL = compliance
purpose-HDECD = matters of a deceased person
purpose-HDIRECT = a directory
purpose-HDM = running the organisation
purpose-HLEGAL = legal purposes
purpose-HOUTCOMS = outcome measurement
purpose-HQUALIMP = quality improvement
purpose-HSYSADMIN = administration of systems
purpose-HTEST = tests with test data
purpose-HTRAIN = training
purpose-LABELING = labelling of data
purpose-MEMADMIN = administration of members
purpose-METAMGT = management of metadata
purpose-MILCDM = military command
purpose-PATADMIN = administration of patients
purpose-PATSFTY = patient safety
purpose-PERFMSR = performance measurement
purpose-RECORDMGT = management of records
purpose-SYSDEV = development of systems
purpose-HRESCH = health research
purpose-BIORCH = biomedical research
purpose-CLINTRCH = clinical trial research
purpose-DSRCH = disease specific research
purpose-POARCH = research on origins or ancestry
purpose-PRECLINTRCH = preclinical research
purpose-TRANSRCH = translational research
purpose-PATRQT = the patient's request
purpose-FAMRQT = the family's request
purpose-PWATRNY = a request under power of attorney
purpose-SUPNWK = a support network
purpose-PUBHLTH = public health
purpose-DISASTER = a disaster
purpose-THREAT = a threat
purpose-HMARKT = marketing

## Categories of data, by the LOINC codes of their documents

category-60591-5 = patient summary
category-57833-6 = electronic prescription
category-60593-1 = electronic dispensation
category-18748-4 = medical images and their reports
category-11502-2 = laboratory report
category-26436-6 = laboratory results
category-34105-7 = hospital discharge report
category-18842-5 = discharge summary
category-10160-0 = medication list
category-48765-2 = allergies

## Confidentiality

confidentiality-U = unrestricted
confidentiality-L = low
confidentiality-M = moderate
confidentiality-N = normal
confidentiality-R = restricted
confidentiality-V = very restricted

## Types of records (FHIR), as the object of a sentence

resource-Patient = a patient record
resource-Observation = an observation
resource-DiagnosticReport = a diagnostic report
resource-MedicationRequest = a prescription
resource-MedicationStatement = a statement of medication
resource-DocumentReference = a document
resource-Condition = a diagnosis
resource-AllergyIntolerance = an allergy
resource-Immunization = a vaccination
resource-Procedure = a procedure
resource-Encounter = a visit or stay
resource-ImagingStudy = medical images
resource-Consent = a consent
resource-List = a list
resource-Bundle = a bundle of records
resource-Binary = a file
resource-Task = a task
resource-ServiceRequest = a request for a service
resource-CarePlan = a care plan
resource-Composition = a composed document
resource-MeasureReport = a report of a measure

## Roles: the word, and one who has it

role-physician = physician
    .one = a physician
role-nurse = nurse
    .one = a nurse
role-pharmacist = pharmacist
    .one = a pharmacist
role-dentist = dentist
    .one = a dentist
role-midwife = midwife
    .one = a midwife
role-researcher = researcher
    .one = a researcher
