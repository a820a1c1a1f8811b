"""Sample texts of a retail bank; the bank, its products and its prices are invented."""

from ft_assets.raw.sample_texts.grammar import Aspect, Context, DomainTexts, Topic

TOPICS = (
    Topic(
        "cards",
        (
            "the travel card",
            "the virtual card",
            "the student debit card",
            "the gold card",
            "the company card",
            "the prepaid card",
        ),
        {
            "fee": ("two euros a month", "nothing in the first year", "thirty euros a year"),
            "limit": ("eight hundred a day", "two thousand a week", "five hundred per purchase"),
            "team": ("card services", "the plastic desk", "the fraud line"),
            "proof": (
                "the last four salary slips",
                "a photo of the old card",
                "an enrolment letter",
            ),
            "wait": ("three working days", "one hour", "until the next statement"),
            "menu": ("Cards, then Manage", "the lock symbol", "Wallet, then Details"),
            "risk": ("a shop that holds a deposit", "an exchange rate set abroad"),
        },
    ),
    Topic(
        "transfers",
        (
            "an instant transfer",
            "a standing order",
            "a payment to another country",
            "a direct debit",
            "a bulk salary payment",
            "a recalled payment",
        ),
        {
            "fee": ("twenty cents each", "no charge up to ten a month", "one percent of the sum"),
            "limit": (
                "fifteen thousand a day",
                "what the daily limit allows",
                "fifty items per file",
            ),
            "team": ("payments operations", "the settlement desk", "the correspondent team"),
            "proof": ("the invoice", "the recipient's bank letter", "a signed mandate"),
            "wait": ("ten seconds", "two working days", "the end of the clearing day"),
            "menu": (
                "Pay, then Schedule",
                "Payments, then Templates",
                "the arrows on the home page",
            ),
            "risk": ("a name that does not match", "a cut-off time at four"),
        },
    ),
    Topic(
        "savings",
        (
            "the notice account",
            "the children's savings plan",
            "the fixed deposit",
            "the rainy day pot",
            "the green bond",
            "the round-up jar",
        ),
        {
            "fee": (
                "no fee at all",
                "a quarter of the interest if closed early",
                "one euro a month",
            ),
            "limit": (
                "fifty thousand per person",
                "two withdrawals a quarter",
                "a thousand a month",
            ),
            "team": ("the deposits team", "savings advice", "the branch adviser"),
            "proof": (
                "a tax number",
                "the birth certificate",
                "proof of where the money came from",
            ),
            "wait": ("ninety days", "the day of maturity", "the first of next month"),
            "menu": ("Save, then Goals", "Accounts, then Terms", "the pot symbol"),
            "risk": ("interest that falls", "money that is tied up"),
        },
    ),
    Topic(
        "loans",
        (
            "the car loan",
            "the home mortgage",
            "the overdraft",
            "the solar loan",
            "the bridge loan",
            "the study loan",
        ),
        {
            "fee": ("four percent a year", "one percent on signing", "a valuation of two hundred"),
            "limit": ("three months' income", "eighty percent of the value", "forty thousand"),
            "team": ("the lending desk", "the mortgage office", "credit decisions"),
            "proof": (
                "the purchase contract",
                "three bank statements",
                "the land register extract",
            ),
            "wait": ("two weeks", "five working days", "until the valuer reports"),
            "menu": ("Borrow, then Calculator", "Loans, then Documents", "the house symbol"),
            "risk": ("a rate that is not fixed", "missing two instalments in a row"),
        },
    ),
    Topic(
        "accounts",
        (
            "the joint account",
            "the basic account",
            "the club account",
            "the foreign currency account",
            "the estate account",
            "the young adult account",
        ),
        {
            "fee": ("five euros a month", "free under twenty-seven", "three euros with paper mail"),
            "limit": ("two signatories", "four free cash withdrawals", "three currencies at once"),
            "team": ("account opening", "the service centre", "the estates team"),
            "proof": ("a registration of address", "the minutes of the club", "the certificate"),
            "wait": ("one working day", "up to three weeks", "until both have signed"),
            "menu": ("Profile, then Accounts", "the plus sign", "Settings, then Owners"),
            "risk": ("either owner may empty it", "a blocked card after three wrong codes"),
        },
    ),
    Topic(
        "cover",
        (
            "the travel cover",
            "the purchase protection",
            "the income shield",
            "the phone policy",
            "the home contents policy",
            "the cyber cover",
        ),
        {
            "fee": ("three euros a month", "ninety a year", "two percent of the price"),
            "limit": ("six weeks per trip", "two claims a year", "ten thousand per event"),
            "team": ("the claims desk", "the partner insurer", "the cover hotline"),
            "proof": ("the receipt", "a police report", "a letter from the employer"),
            "wait": ("fourteen days", "ten working days", "one billing period"),
            "menu": ("Protect, then Claims", "Insurance, then Policies", "the umbrella"),
            "risk": ("damage reported too late", "items left in a parked car"),
        },
    ),
)

FINANCE = DomainTexts(
    name="finance",
    topics=TOPICS,
    new_topics=(),
    aspects=(
        Aspect(
            "price",
            (
                "What does {thing} cost?",
                "Is there a [fee|charge] for {thing}?",
                "How much will {who} pay for {thing}?",
                "[Please explain|What is] the price of {thing}.",
            ),
            (
                "{Thing} costs {fee}.",
                "We [charge|take] {fee} for {thing}.",
                "For {thing} the [price list|tariff] says {fee}.",
                "It is {fee} [in total|all told] for {thing}.",
            ),
            "Price",
            "In the current tariff {thing} is listed with {fee}.",
        ),
        Aspect(
            "limit",
            (
                "What is the [limit|maximum] for {thing}?",
                "How [much|far] can {who} go with {thing}?",
                "[Does|Is] {thing} have a ceiling?",
                "I was told there is a limit on {thing}, [which|what is it]?",
            ),
            (
                "{Thing} is limited to {limit}.",
                "The [ceiling|maximum] with {thing} is {limit}.",
                "You can go up to {limit} [with|using] {thing}.",
                "{limit}: [that is|there lies] the limit of {thing}.",
            ),
            "Limit",
            "Systems stop {thing} at {limit}.",
        ),
        Aspect(
            "who_decides",
            (
                "Who [handles|looks after] {thing}?",
                "[Which team|Whom] should {who} ask about {thing}?",
                "I need [somebody|a person] for {thing}, who is it?",
                "Where do questions on {thing} [end up|go]?",
            ),
            (
                "{team} [handles|looks after] {thing}.",
                "[Ask|Write to|Call] {team} about {thing}.",
                "Questions on {thing} [reach|go to] {team}.",
                "{Thing} [is with|belongs to] {team}, who answer on working days.",
            ),
            "Owner",
            "Cases on {thing} are routed to {team}.",
        ),
        Aspect(
            "proof",
            (
                "Which [documents|papers] are needed for {thing}?",
                "What must {who} [send|show] to get {thing}?",
                "[Do you need|Is there] any proof for {thing}?",
                "The app asks for a document for {thing}, [which one|what fits]?",
            ),
            (
                "We need {proof} for {thing}.",
                "[Please upload|Send us] {proof}; [more is not needed|then it moves on].",
                "For {thing}, {proof} [is enough|will do].",
                "{proof} and a valid passport [open the way to|complete] {thing}.",
            ),
            "Documents",
            "A file on {thing} is complete once it holds {proof}.",
        ),
        Aspect(
            "waiting_time",
            (
                "How long does {thing} [take|need]?",
                "When will {thing} be [ready|done]?",
                "{who} is waiting for {thing}, [how much longer|until when]?",
                "Is {thing} [quick|possible today]?",
            ),
            (
                "{Thing} [takes|needs] {wait}.",
                "[Count on|Allow] {wait} for {thing}.",
                "It will be {wait}, [as always|as usual] with {thing}.",
                "You [hear from us|see it] after {wait}.",
            ),
            "Time needed",
            "Our promise for {thing} is {wait}.",
        ),
        Aspect(
            "where_in_app",
            (
                "Where in the app do I find {thing}?",
                "How can {who} [set up|change] {thing} online?",
                "[I cannot see|Where is] {thing} in the app?",
                "Which [menu|button] leads to {thing}?",
            ),
            (
                "[Open|Tap] {menu} to reach {thing}.",
                "{Thing} is under {menu}.",
                "In the app choose {menu}; [there|behind it] you see {thing}.",
                "Go to {menu} and [pick|select] {thing}.",
            ),
            "In the app",
            "Screens for {thing} start at {menu}.",
        ),
        Aspect(
            "pitfall",
            (
                "Is there a [risk|catch] with {thing}?",
                "What can go wrong with {thing}?",
                "What should {who} [mind|know] before choosing {thing}?",
                "[Any|Are there] surprises with {thing}?",
            ),
            (
                "[Watch out for|Mind] {risk}.",
                "The [usual|common] problem with {thing} is {risk}.",
                "With {thing}, {risk} [surprises|troubles] most people.",
                "One thing about {thing}: {risk} [can|may] cost you money.",
            ),
            "Pitfall",
            "Advisers mention {risk} whenever {thing} is sold.",
        ),
    ),
    contexts=(
        Context(
            "[It is for|I ask for] {who}.",
            "As it is for {whom}, [we need a power of attorney|please come together].",
        ),
        Context(
            "I [tried|applied] {days} days ago.",
            "A request of {days} days ago is [still open|in the queue], nothing is lost.",
        ),
        Context(
            "My branch is {place}.",
            "[The branch in|Your branch at] {place} can [confirm|sign] this too.",
        ),
        Context(
            "It has to be done by {weekday}.",
            "For {weekday} please [send it|start] before four in the afternoon.",
        ),
        Context(
            "I only look at it {hour}.",
            "Online banking works {hour} as well; [maintenance is on Sundays|it never closes].",
        ),
        Context(
            "My statement from {month} [looks odd|shows it].",
            "We [checked|looked at] the statement of {month} and see no error.",
        ),
        Context(
            "I will move to {place} in {month}.",
            "[After|Once you did] the move to {place} please enter the new address by {month}.",
        ),
        Context(
            "{who} [heard about it|told me] on {weekday}.",
            "What {whom} heard on {weekday} [was right|still holds].",
        ),
        Context(
            "The hotline [kept me waiting|cut me off] {hour}.",
            "Sorry for the hotline {hour}; [a callback is noted|we call back].",
        ),
    ),
    people=(
        ("my wife", "your wife"),
        ("my business partner", "your business partner"),
        ("my father", "your father"),
        ("our treasurer", "your treasurer"),
        ("my tenant", "your tenant"),
        ("my sister", "your sister"),
        ("our apprentice", "your apprentice"),
    ),
    places=("Harborough", "Inverley", "Kestrel Quay", "Lowmarket", "Millbridge", "Northgate"),
    greetings=(
        "Hello,",
        "Good day.",
        "Hi,",
        "To the service team:",
        "One question:",
        "Please help:",
        "Good afternoon,",
    ),
    closings=(
        "[Anything else|Is there more] we can do?",
        "The answer is also in your mailbox until {month}.",
        "You can [change your mind|cancel] within {days} days.",
        "[Thank you|Thanks] for banking with us in {place}.",
        "From {weekday} on the chat is [open longer|staffed until nine].",
    ),
    document_kinds=("product_sheet", "service_procedure", "branch_memo"),
    document_openings=(
        "Product sheet: {thing}, part of our {topic} range.",
        "This [memo|note] gathers what branches [ask|should say] about {thing}.",
        "{Thing} in short, for colleagues who [advise on|sell] {topic}.",
    ),
)
