//! Every bound of the server, in one place, with the relations between them.
//!
//! A bound that the operator may change is the *default* here; the settings are in [`crate::config::schema`]. The
//! others are fixed.

/// Request target (the path and query as sent), bytes. Longer: 414.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// A method token, bytes; the longest registered one has 17. Longer: 501.
pub(crate) const METHOD_BYTES_MAX: usize = 32;
/// A request line with its spaces, version and CR LF, bytes.
pub(crate) const REQUEST_LINE_BYTES_MAX: usize =
    METHOD_BYTES_MAX + 1 + TARGET_BYTES_MAX + 1 + "HTTP/1.1\r\n".len();
/// Request line and header fields together, bytes. Longer: 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of one request. More: 431.
pub const FIELDS_MAX: usize = 100;
/// Empty lines tolerated before a request line (RFC 9112, section 2.2 asks for at least one).
pub const LEADING_EMPTY_LINES_MAX: usize = 2;
/// Chunk extensions of one chunked body together, bytes. Longer: 400.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Trailer section of a chunked body, bytes. Longer: 400.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Body of one request, bytes, unless configured. Longer: 413.
pub const BODY_BYTES_MAX_DEFAULT: usize = 1024 * 1024;
/// What the operator may raise the body limit to, bytes.
pub(crate) const BODY_BYTES_MAX_CEILING: usize = 64 * 1024 * 1024;
/// Memory of requests and answers under way, bytes, unless configured. Beyond: 503. One address may have half.
pub const MEMORY_BYTES_MAX_DEFAULT: usize = 128 * 1024 * 1024;
/// What the operator may lower that to, bytes.
pub(crate) const MEMORY_BYTES_MAX_FLOOR: usize = 1024 * 1024;
/// What the operator may raise that to, bytes.
pub(crate) const MEMORY_BYTES_MAX_CEILING: usize = 2 * 1024 * 1024 * 1024;
/// That memory has to hold this many bodies of the largest size: one address may have half of it, and a body
/// that grows is held twice for a moment.
pub(crate) const MEMORY_BODIES_MIN: usize = 4;
/// What one connection holds below this is not counted, bytes: the number of connections bounds it.
pub(crate) const CONNECTION_BYTES_UNCOUNTED: usize = 1024;
/// Answers to reads above this are refused while memory is short, bytes; a socket takes smaller ones at once.
pub(crate) const LARGE_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes read from a socket at once.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// Requests answered on one connection before the others get their turn.
pub const REQUESTS_PER_TURN_MAX: usize = 32;
/// Phases of one connection gone through before the others get their turn.
pub(crate) const ROUNDS_PER_TURN_MAX: usize = 64;
/// Reads of one connection's socket, each of up to [`READ_BYTES`], before the others get their turn.
pub(crate) const READS_PER_TURN_MAX: usize = 2;
/// Answer bytes of one connection sent before the others get their turn.
pub(crate) const SENT_BYTES_PER_TURN_MAX: usize = 128 * 1024;
/// Unsent answer bytes of one connection above which its next request waits.
pub const OUTPUT_BYTES_HIGH: usize = 256 * 1024;
/// Body bytes up to which an answer is copied behind its head instead of being queued on its own.
pub(crate) const OUTPUT_COPY_BYTES_MAX: usize = 16 * 1024;
/// Bytes read and dropped from a connection that is being closed, so that its client is not interrupted while
/// it sends and finds the answer afterwards. Every body that can be legal fits.
pub(crate) const DRAIN_BYTES_MAX: u64 = BODY_BYTES_MAX_CEILING as u64;

/// Connections open at once, unless configured or short of descriptors.
pub(crate) const CONNECTIONS_MAX_DEFAULT: usize = 10_000;
/// What the operator may raise the connection limit to.
pub(crate) const CONNECTIONS_MAX_CEILING: usize = 1_000_000;
/// Descriptors kept for files that are open for a moment, listener, pollers and logs.
pub(crate) const DESCRIPTORS_RESERVED: usize = 64;
/// Descriptors that projects leave for connections; a server that could serve nobody is refused at its start.
pub(crate) const DESCRIPTORS_FOR_CONNECTIONS_MIN: usize = 16;
/// Deadlines in a loop's heap that connections left behind, beyond one for each. More: swept out.
pub(crate) const STALE_DEADLINES_MAX: usize = 1024;
/// Event-loop threads at most, whatever the machine has.
pub(crate) const LOOPS_MAX: usize = 64;

/// How often a read is done over whose ground was taken back, because the disk had no room for it.
pub(crate) const RETRIES_MAX: u32 = 1_000;
/// Threads of the disk lane.
pub(crate) const DISK_THREADS: usize = 2;
/// Threads of the administration lane: its jobs wait for one another anyway.
pub(crate) const ADMINISTRATION_THREADS: usize = 1;
/// Jobs waiting for one lane. Beyond: 503.
pub(crate) const LANE_QUEUE_MAX: usize = 1024;

/// A key, bytes of UTF-8.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// What the server puts before the key of an account to keep those of all accounts in one project, bytes.
pub(crate) const ACCOUNT_PREFIX_BYTES: usize = 17;
/// A key as it is stored, bytes of UTF-8.
pub(crate) const STORED_KEY_BYTES_MAX: usize = ACCOUNT_PREFIX_BYTES + KEY_BYTES_MAX;
/// The JSON text of a key, bytes: each of its bytes escaped, and two quotes.
pub(crate) const KEY_TEXT_BYTES_MAX: usize = 6 * STORED_KEY_BYTES_MAX + 2;
/// A minified value that is imported from an edited file, bytes. The limit on bodies may have been lowered since the
/// value was written, so it is not this one.
pub(crate) const VALUE_BYTES_MAX: usize = BODY_BYTES_MAX_CEILING;
pub(crate) const PROJECT_ID_BYTES_MAX: usize = 63;
/// Projects of one server.
pub(crate) const PROJECTS_MAX: usize = 10_000;
/// Nesting of a stored JSON value. What is put around it must still be read back by serde_json.
pub const VALUE_DEPTH_MAX: usize = 100;
/// Nesting that serde_json parses without failing (1.0).
const SERDE_JSON_DEPTH_MAX: usize = 127;
/// Nesting of a request body that carries values: more than the members around them take, so that
/// a value that is too deep is told apart from its neighbours.
pub const BODY_DEPTH_MAX: usize = 120;
/// Levels around a value at most: a batch has three (body, list, operation), a journal line two.
const LEVELS_AROUND_VALUE_MAX: usize = 3;
/// Time to live, seconds (ten years).
pub(crate) const TTL_SECONDS_MAX: u64 = 315_360_000;
/// Keys of one page of a listing.
pub(crate) const LIST_LIMIT_MAX: usize = 10_000;
/// Accounts of one page of a listing, unless the request says another number.
pub(crate) const ACCOUNTS_PER_PAGE: usize = 1_000;
/// Keys of one page of `/api/data` and of its list in a browser.
pub(crate) const KEYS_PER_PAGE: usize = 50;
pub const BATCH_OPERATIONS_MAX: usize = 1_000;
/// Values up to which an answer to a batch of reads is built as a whole, of one moment, bytes. A longer one is
/// streamed, and its values are those of when they are sent.
pub(crate) const WHOLE_ANSWER_BYTES_MAX: u64 = 256 * 1024;
/// Values that one batch reads together, bytes: the same key may be named often.
pub(crate) const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Values that one batch reads together if it also writes, bytes: such an answer is not streamed, so its values
/// are in memory more than once for a moment. One value may be longer.
pub(crate) const ANSWER_BESIDE_WRITES_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// An API key written into config.json by hand, bytes, at least.
pub(crate) const API_KEY_BYTES_MIN: usize = 16;
/// An API key, bytes, at most.
pub(crate) const API_KEY_BYTES_MAX: usize = 1_024;

/// A password, bytes: bcrypt takes no more into account.
pub const PASSWORD_BYTES_MAX: usize = 72;
/// Characters of a new password, at least.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;
/// Cost of a bcrypt hash unless configured: 2^12 rounds.
pub const BCRYPT_COST_DEFAULT: u32 = 12;
/// Lowest cost that bcrypt knows; for tests.
pub(crate) const BCRYPT_COST_MIN: u32 = 4;
/// Highest cost, about ten seconds of one core on a small machine: a hash of cost 31 takes days.
pub(crate) const BCRYPT_COST_MAX: u32 = 16;
/// An access token, bytes. Longer: refused unread.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the clocks of an access token's times and of the server may differ, seconds.
pub const TOKEN_LEEWAY_SECONDS_MAX: u64 = 5;

/// Requests that a rate limit admits in one window, at most.
pub(crate) const RATE_LIMIT_REQUESTS_MAX: u32 = 1_000;
/// Pairs of address and method whose requests are counted. Beyond: the one whose window began first is
/// forgotten.
pub(crate) const RATE_LIMIT_ADDRESSES_MAX: usize = 65_536;
/// Attempts to log in are counted in windows of this length, seconds.
pub const LOGIN_WINDOW_SECONDS: u64 = 15 * 60;
/// Attempts of one address to log in to one account, in a window. Beyond: 429.
pub const LOGIN_ATTEMPTS_OF_PAIR_MAX: u32 = 10;
/// Attempts of one address, whatever the accounts, in a window. Beyond: 429.
pub const LOGIN_ATTEMPTS_OF_ADDRESS_MAX: u32 = 50;
/// Attempts to log in to one account from addresses that never did, in a window. Beyond: 429.
pub const LOGIN_ATTEMPTS_OF_ACCOUNT_MAX: u32 = 100;
/// Who is refused only because of checks under way is told to come again after this long: most
/// have ended by then.
pub(crate) const LOGIN_CHECK_SECONDS: u64 = 1;
/// Counters of attempts to log in, of each of the three kinds. Beyond: the lowest is taken over.
pub const LOGIN_COUNTERS_MAX: usize = 65_536;
/// Pairs of account and address that are remembered to have logged in. Beyond: the one with the
/// fewest logins is forgotten.
pub(crate) const LOGIN_PAIRS_KNOWN_MAX: usize = 65_536;
/// A pair that has logged in is remembered this long after its last login, seconds (90 days).
pub const LOGIN_PAIR_KNOWN_SECONDS: u64 = 90 * 24 * 3_600;
/// Expired entries that one request removes from a table of counters.
pub(crate) const EXPIRED_PER_CALL_MAX: usize = 4;
/// An access token is good for this long, seconds, unless configured.
pub(crate) const TOKEN_TTL_SECONDS_DEFAULT: u64 = 3_600;
/// The shortest life of an access token that the operator may choose, seconds.
pub(crate) const TOKEN_TTL_SECONDS_MIN: u64 = 60;
/// The longest life of an access token that the operator may choose, seconds (a day).
pub(crate) const TOKEN_TTL_SECONDS_MAX: u64 = 86_400;
/// Requests of one client and method that `/item` takes in one window, unless configured. More: 429.
pub const RATE_LIMIT_REQUESTS_DEFAULT: u32 = 5;
/// Window in which `/item` counts requests, seconds, unless configured.
pub const RATE_LIMIT_WINDOW_SECONDS_DEFAULT: u64 = 60;
/// The longest such window, seconds (a day).
pub(crate) const RATE_LIMIT_WINDOW_SECONDS_MAX: u64 = 86_400;
/// Addresses and networks in `trusted_proxies`.
pub(crate) const TRUSTED_PROXIES_MAX: usize = 64;
/// The host name of an origin, bytes (RFC 1035, section 2.3.4, less the root).
pub(crate) const HOST_BYTES_MAX: usize = 253;
/// A word of a host name, bytes (RFC 1035, section 2.3.4).
pub(crate) const HOST_LABEL_BYTES_MAX: usize = 63;
/// Origins in `cors.origins`, and in `public_origins`.
pub(crate) const ORIGINS_MAX: usize = 64;
pub(crate) const PUBLIC_HOSTS_MAX: usize = 64;

/// Accounts of one server.
pub(crate) const ACCOUNTS_MAX: u64 = 1_000_000;
/// A user name, bytes.
pub(crate) const USERNAME_BYTES_MAX: usize = 100;
/// An email address, bytes (RFC 5321, section 4.5.3.1.3, without the brackets).
pub(crate) const EMAIL_BYTES_MAX: usize = 254;
/// A person's full name, characters.
pub(crate) const FULL_NAME_CHARACTERS_MAX: usize = 100;
/// A person's gender, characters.
pub(crate) const GENDER_CHARACTERS_MAX: usize = 20;
/// A person's age, years.
pub(crate) const AGE_MAX: u64 = 150;
/// How long a browser stays signed in, seconds.
pub const SESSION_SECONDS: u64 = 86_400;
/// Sessions at the same time. Beyond: 503.
pub(crate) const SESSIONS_MAX: u64 = 1_000_000;
/// What `pikv account` reads of standard input, bytes: more than any password has.
pub(crate) const PASSWORD_INPUT_BYTES_MAX: u64 = 4 * 1024;
/// What `pikv account` reads of a running server's answer, bytes.
pub(crate) const CLIENT_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The head of a response that the program reads as a client, bytes, fields, and what is read at once.
pub(crate) const CLIENT_HEAD_BYTES_MAX: usize = 16 * 1024;
pub(crate) const CLIENT_FIELDS_MAX: usize = 64;
pub(crate) const CLIENT_READ_BYTES: usize = 16 * 1024;
/// How long `pikv account` waits for a running server, seconds.
pub(crate) const CLIENT_TIMEOUT_SECONDS: u64 = 60;
/// Registrations of one address in a window for which a password was hashed. Beyond: 429.
pub const REGISTRATIONS_OF_ADDRESS_MAX: u32 = 120;
/// Registrations are counted in windows of this length, seconds.
pub const REGISTRATION_WINDOW_SECONDS: u64 = 15 * 60;
/// Passwords waiting to be hashed, in each of the three queues of their lane. Beyond: the address that
/// has most of them gets 503.
pub const PASSWORD_QUEUE_MAX: usize = 64;
/// Threads that hash passwords at most; half the cores otherwise.
pub const PASSWORD_THREADS_MAX: usize = 4;

/// Journal bytes of one project that wait for the writer. Beyond: 503 before anything changed.
pub(crate) const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A listing is produced in pieces of about this many bytes, so that a lock is held for microseconds.
pub const LISTING_PIECE_BYTES: usize = 32 * 1024;
/// Entries looked at under one hold of a project's lock by listings and checkpoints, expired ones too.
pub(crate) const ENTRIES_PER_LOCK_MAX: usize = 256;
/// Entries and timers lie in runs of this many at most, so that many can be counted and removed at once.
pub(crate) const RUN_ENTRIES_MAX: usize = 512;
/// A run lies in a page of this many bytes, unless its only entry has more.
pub(crate) const PAGE_BYTES: usize = 64 * 1024;
/// A page up to this size is an allocation. A larger one is a mapping of its own.
pub(crate) const HEAP_PAGE_BYTES_MAX: usize = 4 * 1024;
/// One part in so many of a page may be dead. If more is dead, the page is compacted.
pub(crate) const DEAD_PART_MAX: usize = 16;
/// What a slot takes in a page, bytes.
pub(crate) const SLOT_BYTES: usize = 8;
/// Two neighbouring runs are merged if their live entries have at most this many bytes together.
pub(crate) const MERGED_BYTES_MAX: usize = PAGE_BYTES / 4 * 3;
/// The same for the number of their entries.
pub(crate) const MERGED_ENTRIES_MAX: usize = RUN_ENTRIES_MAX / 4 * 3;
/// Timers of expired keys that are looked at under one hold of a project's lock to count the keys of a prefix.
/// If there are more, the keys are reclaimed first.
pub const ENDED_LOOKED_AT_MAX: u64 = 4_096;
/// The same to count all keys, while the timers of cleared keys are among them. If there are more, the count
/// may include keys that have expired.
pub(crate) const ENDED_COUNTED_MAX: u64 = 1_024;
/// Changes of the clock whose keys wait to be reclaimed, each after the clock was set back. Beyond: the next
/// change is recorded once there are fewer; what it would end is absent by its own time.
pub(crate) const EXPIRY_WATERMARKS_MAX: usize = 16;
/// Pause between two holds of a project's lock while another thread waits for it, microseconds: the lock is not
/// fair, and a thread that waits takes a moment to wake up.
pub(crate) const YIELD_MICROS: u64 = 50;
/// How often a deletion by prefix has expired keys reclaimed before it is refused with 503.
pub(crate) const EXPIRY_ROUNDS_BEFORE_CLEAR_MAX: u32 = 16;
/// How often the writer gives way before it writes, while changes keep coming.
pub(crate) const GROUP_COMMIT_ROUNDS_MAX: u32 = 4;
/// Threads that open the files of projects at a start or a reload. Each leaves about 1 MiB of free memory to
/// the process.
pub(crate) const OPENING_THREADS_MAX: usize = 8;
/// As many projects for each of these threads, at least.
pub const PROJECTS_PER_OPENING_THREAD_MIN: usize = 64;
/// Threads that write and sync. They wait for the disk nearly all the time, and a device takes many requests
/// at once, so there are more than cores; with 100 busy projects each waits for four syncs.
pub const WRITERS_MAX: usize = 32;
/// A writer that had nothing to do for this long ends, milliseconds; the first one stays.
pub(crate) const WRITER_QUIET_MS: u64 = 10_000;
/// Stack of a thread that writes or checkpoints, bytes.
pub(crate) const ENGINE_STACK_BYTES: usize = 512 * 1024;
/// Entries that a batch replaced or removed and that its writer frees itself. More take a millisecond: the
/// long lane frees them.
pub(crate) const FREED_AT_ONCE_MAX: usize = 4_096;
/// Batches and projects that wait for the long lane to free them. Beyond that, the thread that drops one frees it.
pub(crate) const FREED_LATER_MAX: usize = 64;
/// Keys in memory above which a project is maintained in the long lane: to let that many expire takes some
/// milliseconds.
pub const LONG_KEYS_MIN: u64 = 16_384;
/// Bytes of names and values above which a project is maintained in the long lane: to write them takes some
/// milliseconds.
pub(crate) const LONG_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Buffer that a project keeps between two writes, bytes. A larger one goes back to the allocator.
pub(crate) const PENDING_BYTES_KEPT_MAX: usize = 256 * 1024;
/// Keys that expire are swept at most this often, milliseconds; who asks for one sees it absent at once.
pub(crate) const EXPIRY_INTERVAL_MS: u64 = 1_000;
/// Expired entries removed under one hold of a project's lock.
pub(crate) const RECLAIMED_PER_LOCK_MAX: usize = 256;
/// A file up to this size is checkpointed shortly after its last write, bytes.
pub(crate) const CHECKPOINT_SMALL_BYTES: u64 = 64 * 1024;
/// Changes that a journal has before their number alone makes a checkpoint due, bytes: small files that
/// are written to all the time would be rewritten and synced all the time.
pub(crate) const CHECKPOINT_CHANGES_BYTES_MIN: u64 = 1024 * 1024;
/// Changes from which on a journal is filled with spaces ahead of its end, bytes; so small ones have none.
pub(crate) const RESERVE_CHANGES_BYTES_MIN: u64 = 4 * 1024;
/// The largest memory page of a system that this runs on, bytes: what a sync of one byte writes.
pub const PAGE_BYTES_MAX: u64 = 64 * 1024;
/// Spaces ahead of the end of a journal, bytes: at most that many, and no more than it has changes.
pub(crate) const RESERVE_BYTES_MAX: usize = 1024 * 1024;
/// Quiet time before a small file is checkpointed, milliseconds.
pub(crate) const CHECKPOINT_QUIET_MS: u64 = 1_000;
/// Shortest time between two checkpoints of a small file, milliseconds.
pub(crate) const CHECKPOINT_INTERVAL_MS: u64 = 10_000;
/// Wait after a checkpoint that failed, milliseconds.
pub(crate) const CHECKPOINT_RETRY_MS: u64 = 10_000;
/// A project with `sync: interval` is synced this often unless it has a setting of its own, seconds.
pub(crate) const SYNC_INTERVAL_SECONDS_DEFAULT: u64 = 1;
/// Shortest interval that a project may have, seconds.
pub(crate) const SYNC_INTERVAL_SECONDS_MIN: u64 = 1;
/// Longest interval that a project may have, seconds.
pub(crate) const SYNC_INTERVAL_SECONDS_MAX: u64 = 3_600;
/// After a write they are looked at once more within this time, milliseconds.
pub(crate) const FILES_LOOK_AFTER_MS: u64 = 1_000;
/// The files of projects that nobody writes to are looked at this often, milliseconds, while `/readyz` is asked.
pub(crate) const FILES_LOOK_INTERVAL_MS: u64 = 2_000;
/// Before something is written the names of journal and directory are looked at this often at most, milliseconds.
pub const FILES_FRESH_MS: u64 = 50;
/// Looks at who has the lock of a data directory, while that one has not said so yet.
pub(crate) const LOCK_LOOKS_MAX: u32 = 100;
/// Time between two of them, milliseconds.
pub(crate) const LOCK_LOOK_INTERVAL_MS: u64 = 10;
/// What is read of `pikv.lock`, bytes: a process id, the longest path of Linux, and a namespace.
pub(crate) const LOCK_FILE_BYTES_MAX: usize = 4 * 1024 + 128;
/// Buffer of sequential file reads and writes, bytes. The allocator of glibc returns memory of up to twice the
/// largest such buffer late, once for each thread that has one, so it is small.
pub const FILE_BUFFER_BYTES: usize = 96 * 1024;
/// The first read of a file, bytes; the next ones grow to [`FILE_BUFFER_BYTES`]. Most files are small.
pub(crate) const FIRST_READ_BYTES: usize = 4 * 1024;
/// Earlier versions of a data file whose checksums the header of a journal keeps.
pub(crate) const PREDECESSORS_MAX: usize = 64;
/// Damaged parts of files that `pikv recover --salvage` lists. It counts the others.
pub(crate) const DAMAGES_LISTED_MAX: usize = 1_000;
/// One line of a journal, bytes: a batch of values with every byte escaped stays below it.
pub(crate) const JOURNAL_LINE_BYTES_MAX: usize = 8 * BODY_BYTES_MAX_CEILING;
/// Log lines waiting for standard error, bytes. Beyond: lines are dropped and counted.
pub(crate) const LOG_BYTES_MAX: usize = 1024 * 1024;
/// Shortest time between two writes of log lines while they are few enough, milliseconds.
pub(crate) const LOG_INTERVAL_MS: u64 = 5;
/// A path, method or request id in the request log, bytes. Longer: cut.
pub(crate) const LOG_FIELD_BYTES_MAX: usize = 256;
/// A text of config.json or of the command line in a message, characters. Longer: cut.
pub(crate) const SHOWN_CHARACTERS_MAX: usize = 60;
/// The name of a parameter or a member in the answer to a request, characters. Longer: cut.
pub(crate) const SHOWN_NAME_CHARACTERS_MAX: usize = 40;
/// An origin or a host of a request in a refusal, characters. Longer: cut.
pub(crate) const SHOWN_ORIGIN_CHARACTERS_MAX: usize = 120;
/// A mistyped name that the nearest known one is looked for, bytes: more than any of those has.
pub(crate) const NEAREST_BYTES_MAX: usize = 64;
/// Symbolic links that are followed one after the other. More are a circle, which opening says.
pub(crate) const LINKS_MAX: usize = 40;
/// What is read of `jwt.key`, bytes.
pub(crate) const SIGNING_KEY_FILE_BYTES_MAX: u64 = 1024;
/// What is read of `pikv.revision`, bytes.
pub(crate) const WATERMARK_FILE_BYTES_MAX: u64 = 64;
/// Revisions that a start reserves beyond those in use: of changes that are on no disk, one run makes fewer. A server
/// that is killed on a machine without a clock uses them up each time, and may be killed a million times.
pub(crate) const REVISIONS_RESERVED: u64 = 1 << 32;
/// What is read of `pikv.address`, bytes.
pub(crate) const ADDRESS_FILE_BYTES_MAX: u64 = 128;
/// How long the last log lines may take to get out when the server stops, milliseconds.
pub(crate) const LOG_FLUSH_MS: u64 = 2_000;
/// How often config.json is synced until it stays the same meanwhile.
pub(crate) const CONFIG_SYNCS_MAX: u32 = 10;
/// The `version` of config.json that this program reads and writes.
pub(crate) const CONFIG_VERSION: u64 = 1;
/// config.json, bytes.
pub(crate) const CONFIG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A request head must be complete after this long, milliseconds. Else 408.
pub(crate) const HEAD_TIMEOUT_MS_DEFAULT: u64 = 10_000;
/// Grace before the slowest accepted body rate counts, milliseconds.
pub(crate) const BODY_GRACE_MS_DEFAULT: u64 = 20_000;
/// Slowest accepted body, bytes a second on average, after the grace. Slower: 408.
pub(crate) const BODY_BYTES_PER_SECOND_MIN_DEFAULT: u64 = 500;
/// A kept-alive connection without a request is closed after this long, milliseconds.
pub(crate) const IDLE_TIMEOUT_MS_DEFAULT: u64 = 60_000;
/// An answer of which nothing was taken for this long ends the connection, milliseconds.
pub(crate) const WRITE_TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// A request that the disk or a lane does not answer in this time is given up, milliseconds.
pub(crate) const REPLY_TIMEOUT_MS: u64 = 60_000;
/// A connection that is being closed is drained this long, milliseconds, and longer while bytes arrive.
pub(crate) const DRAIN_TIMEOUT_MS: u64 = 5_000;
/// Bytes that prolong the draining of a connection by one second.
pub(crate) const DRAIN_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// A connection is drained this long at most, milliseconds, whatever arrives.
pub(crate) const DRAIN_TIMEOUT_MS_MAX: u64 = 30_000;
/// Running requests may finish for this long at shutdown, milliseconds.
pub(crate) const SHUTDOWN_TIMEOUT_MS: u64 = 10_000;
/// What the operator may raise any timeout to, seconds.
pub(crate) const TIMEOUT_SECONDS_CEILING: u64 = 3_600;
/// What the operator may raise the slowest accepted body to, bytes a second.
pub(crate) const BODY_BYTES_PER_SECOND_MIN_CEILING: u64 = 1024 * 1024;
/// Clients that are accepted and wait for a connection to end. The others wait in the queue of the kernel.
pub(crate) const LINE_MAX: usize = 16;
/// If as many wait and none of them was served for this long, milliseconds, others are accepted in place of those
/// whose address has the most connections.
pub(crate) const LINE_STANDS_STILL_MS: u64 = 1_000;
/// The same if the first of them has waited this long, milliseconds.
pub(crate) const LINE_PATIENCE_MS: u64 = 3_000;
/// Clients accepted before the acceptor looks at its other events.
pub(crate) const ACCEPTS_PER_TURN_MAX: usize = 256;
/// While a client waits to be served, other connections are asked to give way this often, milliseconds.
pub(crate) const SHED_INTERVAL_MS: u64 = 100;
/// A connection on which nothing has arrived, or that was told that it ends, does not give way for this long,
/// milliseconds: its client may be on a slow link.
pub(crate) const SILENT_GRACE_MS: u64 = 250;
/// Silent connections that are looked through for the one whose address has the most connections.
pub(crate) const SHED_CANDIDATES_MAX: usize = 64;
/// Connections and requests that are refused for want of space are logged this often, milliseconds.
pub(crate) const REFUSALS_LOGGED_EVERY_MS: u64 = 60_000;
/// Pause of the acceptor after it ran out of descriptors, milliseconds.
pub(crate) const ACCEPT_PAUSE_MS: u64 = 100;

/// A difference of the wall clock from the monotonic one that is logged as a jump, milliseconds. Steps of NTP
/// and of a hand are longer; the readings of the two clocks are microseconds apart.
pub(crate) const CLOCK_JUMP_MS_MIN: u64 = 2_000;
/// How often a difference below [`CLOCK_JUMP_MS_MIN`] is taken note of, milliseconds.
pub(crate) const CLOCK_LOOK_INTERVAL_MS: u64 = 1_000;
/// A clock may be slewed by one part in so many without that being a jump. NTP slews by one in 2,000.
pub(crate) const CLOCK_SLEW_DIVISOR: u64 = 1_000;

const _: () = assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(HEAD_BYTES_MAX <= READ_BYTES);
const _: () = assert!(3 * KEY_BYTES_MAX < TARGET_BYTES_MAX, "a percent-encoded key fits a target");
const _: () = assert!(VALUE_DEPTH_MAX + LEVELS_AROUND_VALUE_MAX < BODY_DEPTH_MAX);
const _: () = assert!(BODY_DEPTH_MAX < SERDE_JSON_DEPTH_MAX);
const _: () = assert!(BODY_BYTES_MAX_DEFAULT <= BODY_BYTES_MAX_CEILING);
const _: () = assert!(MEMORY_BODIES_MIN * BODY_BYTES_MAX_DEFAULT <= MEMORY_BYTES_MAX_DEFAULT);
const _: () = assert!(MEMORY_BODIES_MIN * BODY_BYTES_MAX_CEILING <= MEMORY_BYTES_MAX_CEILING);
const _: () = assert!(LINE_MAX < DESCRIPTORS_RESERVED);
const _: () = assert!(CONNECTION_BYTES_UNCOUNTED < LARGE_ANSWER_BYTES);
const _: () = assert!(BODY_BYTES_MAX_CEILING as u64 <= ANSWER_BYTES_MAX, "every value fits an answer");
const _: () = assert!(BODY_BYTES_MAX_CEILING <= VALUE_BYTES_MAX, "what was written may be edited");
const _: () =
    assert!(VALUE_BYTES_MAX + KEY_TEXT_BYTES_MAX < JOURNAL_LINE_BYTES_MAX, "every member is read back");
const _: () = assert!(DRAIN_TIMEOUT_MS < DRAIN_TIMEOUT_MS_MAX);
const _: () = assert!(CONNECTIONS_MAX_DEFAULT <= CONNECTIONS_MAX_CEILING);
const _: () = assert!(BODY_BYTES_PER_SECOND_MIN_DEFAULT <= BODY_BYTES_PER_SECOND_MIN_CEILING);
const _: () = assert!(HEAD_TIMEOUT_MS_DEFAULT <= TIMEOUT_SECONDS_CEILING * 1_000);
const _: () = assert!(IDLE_TIMEOUT_MS_DEFAULT <= TIMEOUT_SECONDS_CEILING * 1_000);
const _: () = assert!(API_KEY_BYTES_MIN < API_KEY_BYTES_MAX);
const _: () = assert!(REGISTRATIONS_OF_ADDRESS_MAX <= RATE_LIMIT_REQUESTS_MAX);
const _: () = assert!(LOGIN_ATTEMPTS_OF_PAIR_MAX < LOGIN_ATTEMPTS_OF_ADDRESS_MAX);
const _: () = assert!(LOGIN_ATTEMPTS_OF_ADDRESS_MAX < LOGIN_ATTEMPTS_OF_ACCOUNT_MAX);
const _: () = assert!(EXPIRED_PER_CALL_MAX > 1, "tables shrink faster than they grow");
const _: () = assert!(PASSWORD_CHARACTERS_MIN < PASSWORD_BYTES_MAX);
const _: () = assert!(BCRYPT_COST_MIN <= BCRYPT_COST_DEFAULT && BCRYPT_COST_DEFAULT <= BCRYPT_COST_MAX);
const _: () = assert!(TOKEN_BYTES_MAX < HEAD_BYTES_MAX, "a token fits a head");
const _: () = assert!(TOKEN_TTL_SECONDS_MIN <= TOKEN_TTL_SECONDS_DEFAULT);
const _: () = assert!(TOKEN_TTL_SECONDS_DEFAULT <= TOKEN_TTL_SECONDS_MAX);
const _: () = assert!(RATE_LIMIT_REQUESTS_DEFAULT <= RATE_LIMIT_REQUESTS_MAX);
const _: () = assert!(RATE_LIMIT_WINDOW_SECONDS_DEFAULT <= RATE_LIMIT_WINDOW_SECONDS_MAX);
const _: () = assert!(PAGE_BYTES <= 1 + u16::MAX as usize, "u16 says where an entry begins");
const _: () = assert!(HEAP_PAGE_BYTES_MAX < PAGE_BYTES);
const _: () =
    assert!(MERGED_ENTRIES_MAX <= RUN_ENTRIES_MAX, "merged runs have few enough entries for one run");
// Dead bytes are at most one part in DEAD_PART_MAX of a page, so one in DEAD_PART_MAX - 1 of what is live in it.
const _: () = assert!(
    MERGED_BYTES_MAX + MERGED_BYTES_MAX / (DEAD_PART_MAX - 1) + MERGED_ENTRIES_MAX * SLOT_BYTES <= PAGE_BYTES,
    "the live entries of merged runs fit one page, with their slots and what is dead in the first run"
);
