"""Sample texts of an outpatient clinic; the clinic, its rules and its advice are invented."""

from ft_assets.raw.sample_texts.grammar import Aspect, Context, DomainTexts, Topic

TOPICS = (
    Topic(
        "allergy",
        (
            "the birch pollen test",
            "the bee venom course",
            "the food challenge day",
            "the dust mite vaccine",
            "the penicillin check",
            "the contact patch test",
        ),
        {
            "room": ("the green ward", "room four of the east wing", "the allergy corner"),
            "staff": ("a specialist nurse", "the duty allergist", "a trained assistant"),
            "sign": ("swelling of the lips", "wheezing", "hives on both arms", "a tight throat"),
            "prepare": (
                "stop antihistamine tablets five days before",
                "avoid skin cream on the forearms",
                "bring a list of everything eaten that week",
            ),
            "length": ("forty minutes", "three hours", "a whole morning"),
            "after": ("stay in the waiting area for half an hour", "skip sports until the evening"),
            "form": ("the blue reaction diary", "form A2", "the signed emergency plan"),
        },
    ),
    Topic(
        "physiotherapy",
        (
            "the knee group",
            "the shoulder programme",
            "the back school",
            "the hip class after surgery",
            "the balance training",
            "the hand therapy hour",
        ),
        {
            "room": ("the gym in the basement", "the pool hall", "studio two"),
            "staff": ("a movement therapist", "the rehabilitation team", "a sports physician"),
            "sign": ("a knee that gives way", "numb fingers", "pain that wakes you", "a hot joint"),
            "prepare": (
                "wear loose trousers and flat shoes",
                "bring the surgeon's letter",
                "eat something light two hours earlier",
            ),
            "length": ("fifty minutes", "half an hour", "an hour and a quarter"),
            "after": ("cool the joint with a wet towel", "walk slowly for ten minutes"),
            "form": ("the exercise card", "form P7", "the pain scale sheet"),
        },
    ),
    Topic(
        "diabetes_care",
        (
            "the insulin pump training",
            "the foot inspection",
            "the eye background photo",
            "the glucose sensor fitting",
            "the carbohydrate workshop",
            "the kidney function panel",
        ),
        {
            "room": ("the metabolic unit", "consulting room nine", "the teaching kitchen"),
            "staff": ("a diabetes educator", "the endocrinologist", "the podiatry nurse"),
            "sign": ("readings above fifteen", "a wound on the heel", "sudden blurred sight"),
            "prepare": (
                "keep a meal log for three days",
                "take the morning dose as usual",
                "bring the meter and its charger",
            ),
            "length": ("twenty minutes", "two hours", "one long afternoon"),
            "after": ("check the sugar level before driving", "wear sunglasses on the way home"),
            "form": ("the sensor passport", "form D3", "the yellow dosing table"),
        },
    ),
    Topic(
        "skin",
        (
            "the mole mapping",
            "the eczema day clinic",
            "the light therapy series",
            "the wart freezing",
            "the acne consultation",
            "the scar treatment",
        ),
        {
            "room": ("the dermatology floor", "the light cabin suite", "room twelve"),
            "staff": ("a skin surgeon", "the dermatology fellow", "a wound care nurse"),
            "sign": ("a border that changes", "oozing patches", "a blister larger than a coin"),
            "prepare": (
                "come without make-up or nail varnish",
                "leave out the retinoid for one week",
                "note every cream used since spring",
            ),
            "length": ("a quarter of an hour", "thirty-five minutes", "half a day"),
            "after": ("keep the area out of the sun", "change the dressing at bedtime"),
            "form": ("the photo consent", "form S5", "the ointment plan"),
        },
    ),
    Topic(
        "heart",
        (
            "the exercise stress test",
            "the long-term rhythm recording",
            "the cardiac echo",
            "the pacemaker control",
            "the blood pressure week",
            "the statin review",
        ),
        {
            "room": ("the cardiology lab", "the monitoring bay", "the third floor, door C"),
            "staff": ("a cardiac physiologist", "the heart failure nurse", "the cardiologist"),
            "sign": ("pressure behind the breastbone", "fainting", "ankles swollen by noon"),
            "prepare": (
                "drink no coffee from the evening on",
                "write down each tablet with its dose",
                "shave nothing, the technician does it",
            ),
            "length": ("twenty-five minutes", "a day and a night", "about ninety minutes"),
            "after": ("rest on the couch for a while", "press the event button when dizzy"),
            "form": ("the rhythm diary", "form H1", "the device card"),
        },
    ),
    Topic(
        "children",
        (
            "the two-year checkup",
            "the asthma school for children",
            "the hearing screen",
            "the travel vaccination",
            "the growth curve visit",
            "the speech assessment",
        ),
        {
            "room": ("the family centre", "the playroom next to reception", "the blue house"),
            "staff": ("a paediatric nurse", "the children's doctor", "a speech therapist"),
            "sign": ("fever over thirty-nine", "ribs drawn in at each breath", "no wet nappy"),
            "prepare": (
                "bring the yellow record book",
                "let the child sleep well and eat first",
                "pack a favourite toy and spare clothes",
            ),
            "length": ("half an hour", "forty-five minutes", "two short blocks with a pause"),
            "after": ("offer plenty to drink", "keep the arm bare and cool"),
            "form": ("the parents' questionnaire", "form K4", "the vaccination card"),
        },
    ),
)

NEW_TOPICS = (
    Topic(
        "sleep_apnoea",
        (
            "the home sleep recorder",
            "the CPAP mask fitting",
            "the airflow titration night",
            "the snoring splint",
            "the oxygen saturation download",
            "the humidifier exchange",
        ),
        {
            "room": ("the new sleep laboratory", "the telemetry suite", "the night lounge"),
            "staff": ("a somnologist", "the respiratory technician", "the mask coach"),
            "sign": ("breathing pauses", "a leaking mask cushion", "morning headaches and choking"),
            "prepare": (
                "charge the finger clip and pair the telemetry app",
                "shave so that the mask seals",
                "avoid alcohol and naps on the recording day",
            ),
            "length": ("one full night", "seven hours of airflow data", "two nights in a row"),
            "after": ("rinse the tubing with distilled water", "upload the memory card by ten"),
            "form": ("the sleepiness score", "form N8", "the snore log"),
        },
    ),
    Topic(
        "virtual_ward",
        (
            "the remote pulse patch",
            "the tablet ward round",
            "the home infusion kit",
            "the wearable thermometer",
            "the courier blood draw",
            "the video discharge",
        ),
        {
            "room": ("the telemedicine hub", "the virtual ward desk", "the command screen"),
            "staff": ("a remote matron", "the telehealth resident", "the courier paramedic"),
            "sign": ("a red tile on the dashboard", "a patch that stops blinking", "low battery"),
            "prepare": (
                "connect the tablet to the router and test the camera",
                "place the hub box next to the bed",
                "scan the code on the kit with the ward app",
            ),
            "length": ("ten minutes per video slot", "four days of streaming", "one upload cycle"),
            "after": ("put the patch into the return pouch", "close the session in the ward app"),
            "form": ("the remote consent", "form V9", "the streaming checklist"),
        },
    ),
)

HEALTHCARE = DomainTexts(
    name="healthcare",
    topics=TOPICS,
    new_topics=NEW_TOPICS,
    aspects=(
        Aspect(
            "where_to_go",
            (
                "Where do I [go|report|turn up] for {thing}?",
                "[Which part of the building|Which room] is {thing} in?",
                "I have an appointment for {thing}, [where is it|how do I find it]?",
                "[Can you|Could you] tell {who} the way to {thing}?",
            ),
            (
                "{Thing} [takes place|is held|is done] in {room}.",
                "[Please go|Go straight|Come] to {room}; that is where we do {thing}.",
                "You will find {thing} in {room}, and {staff} [collects you|will call you] there.",
                "For {thing} [ring the bell|knock] at {room}.",
            ),
            "Place",
            "Patients for {thing} are sent to {room}.",
        ),
        Aspect(
            "who_does_it",
            (
                "Who [does|carries out|is in charge of] {thing}?",
                "Will {who} see a doctor at {thing}, or [somebody else|a nurse]?",
                "[May I ask|I wonder] who will be there for {thing}.",
                "Which [person|member of staff] looks after {thing}?",
            ),
            (
                "{staff} [does|carries out|looks after] {thing}.",
                "[Expect|You will meet] {staff} for {thing}.",
                "{Thing} is [in the hands of|led by] {staff}, a doctor is [on call|close by].",
                "It is {staff} who [runs|is responsible for] {thing}.",
            ),
            "Staff",
            "{Thing} is staffed by {staff} at every hour that it is offered.",
        ),
        Aspect(
            "warning_sign",
            (
                "What should {who} [watch out for|look for] with {thing}?",
                "When is it [urgent|an emergency] after {thing}?",
                "Which [sign|symptom] means calling back after {thing}?",
                "Is there [anything|something] to worry about around {thing}?",
            ),
            (
                "[Call us at once|Ring us straight away] if you notice {sign}.",
                "With {thing}, {sign} is the [sign|symptom] that [cannot wait|needs help today].",
                "{sign} [means|is a reason to] call {staff} without delay.",
                "Most complaints are harmless, but {sign} [is not|never is].",
            ),
            "Warning sign",
            "Around {thing}, teams act the same day on {sign}.",
        ),
        Aspect(
            "how_to_prepare",
            (
                "How [do I|should I] get ready for {thing}?",
                "What must {who} do [before|ahead of] {thing}?",
                "[Is there|Do you have] anything to prepare for {thing}?",
                "What comes [first|beforehand] when {thing} is booked?",
            ),
            (
                "[Before|Ahead of] {thing}, {prepare}.",
                "Please {prepare}; [without that|otherwise] {thing} must be put off.",
                "There is [one thing|one rule] for {thing}: {prepare}.",
                "To be ready for {thing}, {prepare} and come [rested|in good time].",
            ),
            "Preparation",
            "The letter for {thing} asks people to {prepare}.",
        ),
        Aspect(
            "how_long",
            (
                "How long does {thing} [take|last]?",
                "How much time should {who} [plan|keep free] for {thing}?",
                "Can I be back [at work|home] soon after {thing}?",
                "What is the [length|duration] of {thing}?",
            ),
            (
                "[Plan|Allow|Keep free] {length} for {thing}.",
                "{Thing} [takes|lasts] {length}, rarely longer.",
                "It is {length} [from start to end|in all] for {thing}.",
                "[Most people need|We count with] {length} at {thing}.",
            ),
            "Duration",
            "The calendar blocks {length} for {thing}.",
        ),
        Aspect(
            "aftercare",
            (
                "What happens [after|once I am done with] {thing}?",
                "What should {who} do [afterwards|later that day], after {thing}?",
                "[Any|Are there] rules for the hours after {thing}?",
                "Can {who} leave [right away|at once] after {thing}?",
            ),
            (
                "After {thing}, {after}.",
                "Once {thing} is over, [please|be sure to] {after}.",
                "[The rule|Our advice] after {thing} is simple: {after}.",
                "You may leave, but {after} [first|that day].",
            ),
            "Afterwards",
            "When {thing} is finished, staff remind everyone to {after}.",
        ),
        Aspect(
            "which_form",
            (
                "Which [paper|form] is needed for {thing}?",
                "What [paperwork|document] goes with {thing}?",
                "Do I have to [fill in|sign] something for {thing}?",
                "Reception asked {who} for a form for {thing}, [which one|what is it]?",
            ),
            (
                "[Bring|Hand in] {form} for {thing}.",
                "For {thing} we [need|ask for] {form}, [filled in|signed].",
                "It is {form} that [belongs to|goes with] {thing}.",
                "{staff} [collects|checks] {form} before {thing} begins.",
            ),
            "Paperwork",
            "No slot for {thing} is confirmed without {form}.",
        ),
    ),
    contexts=(
        Context(
            "[It is booked|We are booked] for {weekday}, in {days} days.",
            "[Until {weekday}|In the {days} days until then] nothing else has to be done.",
        ),
        Context(
            "{who} lives in {place} and [cannot drive|comes by bus].",
            "From {place} the clinic shuttle can [bring|fetch] {whom}.",
        ),
        Context(
            "I can only [come|call] {hour}.",
            "As you are free {hour}, we [looked for|have] a slot at that time.",
        ),
        Context(
            "The referral is from {month}.",
            "A referral from {month} is [still valid|fine], the desk has noted it.",
        ),
        Context(
            "[This is|It will be] the first time for {who}.",
            "Since it is new for {whom}, we [explain every step|go through it slowly].",
        ),
        Context(
            "We [waited|have been waiting] {days} days for an answer.",
            "Sorry about the {days} days of waiting; your case is [at the top|with us] now.",
        ),
        Context(
            "{who} is a little [nervous|afraid].",
            "Tell {whom} that a [short break|second person] is always possible.",
        ),
        Context(
            "We moved to {place} in {month}.",
            "We have [changed|updated] the address to {place}, valid from {month}.",
        ),
        Context(
            "On {weekday} nobody [answered the phone|was at the desk].",
            "On {weekday} the desk was [closed|short of people]; the portal is open at any hour.",
        ),
    ),
    people=(
        ("my mother", "your mother"),
        ("my son", "your son"),
        ("my neighbour", "your neighbour"),
        ("my husband", "your husband"),
        ("my grandfather", "your grandfather"),
        ("my flatmate", "your flatmate"),
        ("our daughter", "your daughter"),
    ),
    places=("Aldersey", "Brookhaven", "Corrin Vale", "Dunmere", "Eastley", "Fairwick", "Glenholt"),
    greetings=(
        "Hello,",
        "Good morning.",
        "Hi there!",
        "Dear team,",
        "Quick question:",
        "Excuse me,",
        "Good evening,",
    ),
    closings=(
        "[Get well soon|All the best] to {whom}.",
        "[Write|Message] us again if {weekday} does not suit you.",
        "The desk can [move|change] the date up to {days} days ahead.",
        "Does that [help|answer it]?",
        "We [look forward to|are ready for] your visit in {month}.",
    ),
    document_kinds=("patient_information", "ward_procedure", "front_desk_note"),
    document_openings=(
        "This sheet tells colleagues at the front desk [what to say|what matters] about {thing}.",
        "{Thing} belongs to our {topic} service; [these points|the points below] are agreed.",
        "[Summary|Short guide] for new staff of the {topic} service: {thing}.",
    ),
)
