//! Numbered errors of the program, shared with every client. A number is never reused.

macro_rules! errors {
    ($($(#[doc = $text:literal])+ $name:ident = $code:literal,)+) => {
        /// Why the program, or a decoder shared with it, refuses. The number is the program's custom error code.
        #[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Error {
            $($(#[doc = $text])+ $name = $code,)+
        }

        impl Error {
            /// Every error, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The custom error code that Solana shows.
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// The error of a custom error code; none if the code is not this program's.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// The rule that was broken and what to do.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($text),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

errors! {
    /// the bytes end before the value does; send the whole encoding
    Truncated = 100,
    /// bytes follow the value; send exactly one encoding
    TrailingBytes = 101,
    /// no such instruction in this version of the program; check the program's address and version
    UnknownInstruction = 102,
    /// no such asset; 0 is IO, 1 is USDC
    UnknownAsset = 103,
    /// no such kind of message; 1 is a settlement batch
    UnknownKind = 104,
    /// an account is missing; send the accounts of the instruction's role list in its order
    MissingAccount = 105,
    /// an account that must sign did not; see the instruction's role list
    MissingSigner = 106,
    /// an account that must be writable is not; see the instruction's role list
    NotWritable = 107,

    /// not this program's bridge account; derive it from the seed "bridge"
    WrongBridge = 110,
    /// not a members account of this program; create it with this program as its owner and the exact length
    WrongMembers = 111,
    /// not the queue account that the bridge names
    WrongQueue = 112,
    /// not a mint of SPL Token, or not the one that the bridge names
    WrongMint = 113,
    /// not the vault that the bridge names for this asset
    WrongVault = 114,
    /// not the stake vault that the bridge names
    WrongStakeVault = 115,
    /// not the SPL Token program
    WrongTokenProgram = 116,
    /// not the system program
    WrongSystemProgram = 117,
    /// not the signatures account of this kind, set epoch and body; derive it from its seeds and post signatures first
    WrongSignatures = 118,
    /// not the claim account of this asset and account; derive it from its seeds
    WrongClaim = 119,
    /// not the instructions sysvar
    WrongInstructionsSysvar = 120,
    /// not this program's own account
    WrongProgram = 121,
    /// not this program's data account
    WrongProgramData = 122,
    /// not a token account of the asset's mint
    WrongTokenAccount = 123,

    /// only the program's upgrade authority may initialize; sign with it
    NotUpgradeAuthority = 200,
    /// the bridge exists already
    AlreadyInitialized = 201,
    /// the mint has a freeze authority, which could stop the bridge; set the asset's flag to accept that
    FreezeAuthority = 202,
    /// the IO mint's authority is not the bridge account; hand it over first
    MintAuthority = 203,
    /// the mint has the wrong number of decimals; IO has 8, USDC 6
    Decimals = 204,
    /// a vault is not an initialized token account of the bridge without delegate and close authority
    VaultNotClean = 205,
    /// a vault holds less than the genesis puts on chain; send the tokens first
    VaultShort = 206,
    /// the queue account has room for fewer records than the minimum
    QueueTooSmall = 207,
    /// times: epoch_seconds must be above 0, chain_start a full hour, schedule_start the first instant of a UTC month
    BadTime = 208,
    /// emitted_before is not what the schedule gave before chain_start
    EmittedBefore = 209,
    /// the emission schedule is of no known kind or its numbers are out of range
    BadSchedule = 210,
    /// an unknown flag is set
    UnknownFlag = 211,
    /// an account that must be fresh was used already
    NotFresh = 212,
    /// a set has 1 to 128 members and an epoch above 0
    MemberCount = 220,
    /// members must come in ascending order of their keys, each key once
    MemberOrder = 221,
    /// a member has no power
    ZeroPower = 222,
    /// the powers add up to more than a third of the 64-bit range
    PowerOverflow = 223,
    /// the members do not have the announced hash; stage them anew in a fresh account
    MembersHash = 224,
    /// the set is not complete; stage the rest first
    MembersNotSealed = 225,
    /// the set is complete and cannot change
    MembersSealed = 226,
    /// this piece is not the next one, or its head differs from the first piece's
    MembersPiece = 227,

    /// less arrived in the vault than the asset's minimum deposit
    DepositBelowMinimum = 300,
    /// the deposit queue is full; wait for the next settlement
    QueueFull = 301,

    /// name at least one member, and no more than fit a precompile instruction
    SignatureCount = 400,
    /// no member of the set has this index
    UnknownMember = 401,
    /// the instruction just before this one is not the ed25519 precompile
    NotEd25519 = 402,
    /// an offset, index, length or count of the precompile instruction is not the one expected
    SignatureLayout = 403,
    /// the precompile verified another key than the member's
    SignatureKey = 404,
    /// the precompile verified another message than the batch's
    SignatureMessage = 405,
    /// the batch is not settled and the signatures are younger than 24 hours
    SignaturesInUse = 406,
    /// only who paid for the account may close it
    NotPayer = 407,

    /// the batch is for another Solana cluster
    OtherCluster = 500,
    /// the batch is for another program
    OtherProgram = 501,
    /// the batch is for another chain
    OtherChain = 502,
    /// the batch is signed by another member set than the current one
    OtherSetEpoch = 503,
    /// a batch of this number or a later one is settled already
    OldNumber = 504,
    /// members with more than two thirds of the power must sign; post more signatures
    TooLittlePower = 505,
    /// the batch credits a deposit number that is neither in the queue nor the last one freed
    DepositNumber = 506,
    /// the batch saw other deposits than this program; its signers were fed a false Solana
    DepositHash = 507,
    /// the staged set is not the one that the batch names, or not of the next epoch
    WrongNextSet = 508,

    /// the proof leads to none of the last 8 settled roots; fetch a newer proof
    UnknownRoot = 600,
    /// everything of this proof is paid already
    NothingDue = 601,
    /// the vault cannot pay now; the rest stays due
    NothingAvailable = 602,
    /// pay to the account's associated token account, or let the account's key sign
    DestinationNotCanonical = 603,
    /// a vault cannot be the destination
    DestinationIsVault = 604,

    /// a counter left its range
    Arithmetic = 900,
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} (code {})", self.text(), self.code())
    }
}

impl core::error::Error for Error {}
