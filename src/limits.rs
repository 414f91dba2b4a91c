//! Every bound of the server, with the relations between them.
//!
//! For a bound that the operator may change, this is the *default*; the settings are in [`crate::config::schema`]. The
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
/// The maximum of that setting, bytes.
pub(crate) const BODY_BYTES_MAX_CEILING: usize = 64 * 1024 * 1024;
/// Memory of pending requests and answers, bytes, unless configured. More: 503. One address may have half.
pub const MEMORY_BYTES_MAX_DEFAULT: usize = 128 * 1024 * 1024;
/// The minimum of that setting, bytes.
pub(crate) const MEMORY_BYTES_MAX_FLOOR: usize = 1024 * 1024;
/// The maximum of that setting, bytes.
pub(crate) const MEMORY_BYTES_MAX_CEILING: usize = 2 * 1024 * 1024 * 1024;
/// That memory must hold this many bodies of the maximum size: one address may have half of it, and a growing body is
/// held twice for a moment.
pub(crate) const MEMORY_BODIES_MIN: usize = 4;
/// Less memory of one connection is not counted, bytes: the number of connections bounds it.
pub(crate) const CONNECTION_BYTES_UNCOUNTED: usize = 1024;
/// Answers to reads above this are refused while memory is short, bytes; a socket takes smaller ones at once.
pub(crate) const LARGE_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes read from a socket at once.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// Requests answered on one connection before the others get their turn.
pub const REQUESTS_PER_TURN_MAX: usize = 32;
/// Steps of one connection before the others get their turn.
pub(crate) const ROUNDS_PER_TURN_MAX: usize = 64;
/// Reads of one connection's socket, each of up to [`READ_BYTES`], before the others get their turn.
pub(crate) const READS_PER_TURN_MAX: usize = 2;
/// Answer bytes of one connection sent before the others get their turn.
pub(crate) const SENT_BYTES_PER_TURN_MAX: usize = 128 * 1024;
/// Unsent answer bytes of one connection above which its next request waits.
pub const OUTPUT_BYTES_HIGH: usize = 256 * 1024;
/// A body up to this size is copied after its head, bytes. A larger one is queued without a copy.
pub(crate) const OUTPUT_COPY_BYTES_MAX: usize = 16 * 1024;
/// Bytes read and dropped from a connection that is being closed, so that its client can finish sending and then read
/// the answer. Every body that a configuration may allow fits.
pub(crate) const DRAIN_BYTES_MAX: u64 = BODY_BYTES_MAX_CEILING as u64;

/// Connections open at once, unless configured. Fewer if there are too few descriptors.
pub(crate) const CONNECTIONS_MAX_DEFAULT: usize = 10_000;
/// The maximum of that setting.
pub(crate) const CONNECTIONS_MAX_CEILING: usize = 1_000_000;
/// Descriptors reserved for files that are open for a moment, the listener, the pollers and the logs.
pub(crate) const DESCRIPTORS_RESERVED: usize = 64;
/// Descriptors that projects leave for connections. A server that has fewer does not start.
pub(crate) const DESCRIPTORS_FOR_CONNECTIONS_MIN: usize = 16;
/// Stale deadlines of closed connections in a loop's heap. More: removed.
pub(crate) const STALE_DEADLINES_MAX: usize = 1024;
/// Event-loop threads, even if the machine has more cores.
pub(crate) const LOOPS_MAX: usize = 64;

/// How often a read is repeated because the changes that it returned were rolled back.
pub(crate) const RETRIES_MAX: u32 = 1_000;
/// Threads of the disk lane.
pub(crate) const DISK_THREADS: usize = 2;
/// Threads of the administration lane. Its jobs exclude one another.
pub(crate) const ADMINISTRATION_THREADS: usize = 1;
/// Jobs that wait for one lane. More: 503.
pub(crate) const LANE_QUEUE_MAX: usize = 1024;

/// A key, bytes of UTF-8.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// The prefix of a key of an account, bytes: one project has the keys of all accounts.
pub(crate) const ACCOUNT_PREFIX_BYTES: usize = 17;
/// A key as it is stored, bytes of UTF-8.
pub(crate) const STORED_KEY_BYTES_MAX: usize = ACCOUNT_PREFIX_BYTES + KEY_BYTES_MAX;
/// The JSON text of a key, bytes: two quotes, and each byte escaped.
pub(crate) const KEY_TEXT_BYTES_MAX: usize = 6 * STORED_KEY_BYTES_MAX + 2;
/// A minified value that is imported from an edited file, bytes. This is not the body limit, which the operator may
/// have lowered since the value was written.
pub(crate) const VALUE_BYTES_MAX: usize = BODY_BYTES_MAX_CEILING;
pub(crate) const PROJECT_ID_BYTES_MAX: usize = 63;
/// Projects of one server.
pub(crate) const PROJECTS_MAX: usize = 10_000;
/// Nesting of a stored JSON value. serde_json must be able to parse it with the levels around it.
pub const VALUE_DEPTH_MAX: usize = 100;
/// Nesting that serde_json 1.0 parses.
const SERDE_JSON_DEPTH_MAX: usize = 127;
/// Nesting of a request body that contains values: more than the levels around them need, so that the error names the
/// value that is too deep.
pub const BODY_DEPTH_MAX: usize = 120;
/// Levels around a value: a batch has three (body, list, operation), a journal line two.
const LEVELS_AROUND_VALUE_MAX: usize = 3;
/// Time to live, seconds (ten years).
pub(crate) const TTL_SECONDS_MAX: u64 = 315_360_000;
/// Keys of one page of a listing.
pub(crate) const LIST_LIMIT_MAX: usize = 10_000;
/// Accounts of one page of a listing, unless the request has another number.
pub(crate) const ACCOUNTS_PER_PAGE: usize = 1_000;
/// Keys of one page of `/api/data` and of its list in a browser.
pub(crate) const KEYS_PER_PAGE: usize = 50;
pub const BATCH_OPERATIONS_MAX: usize = 1_000;
/// An answer to a batch of reads with values up to this size is built as a whole and is a snapshot, bytes. A longer one
/// is streamed, and each value is read when it is sent.
pub(crate) const WHOLE_ANSWER_BYTES_MAX: u64 = 256 * 1024;
/// Values that one batch reads, bytes. A batch may name the same key often.
pub(crate) const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Values that one batch reads if it also writes, bytes. Such an answer is not streamed, so its values are in memory
/// more than once for a moment. A single value may be longer.
pub(crate) const ANSWER_BESIDE_WRITES_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The minimum length of an API key that the operator chooses, bytes.
pub(crate) const API_KEY_BYTES_MIN: usize = 16;
/// An API key, bytes.
pub(crate) const API_KEY_BYTES_MAX: usize = 1_024;

/// A password, bytes: bcrypt ignores further bytes.
pub const PASSWORD_BYTES_MAX: usize = 72;
/// The minimum length of a new password, characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;
/// Cost of a bcrypt hash unless configured: 2^12 rounds.
pub const BCRYPT_COST_DEFAULT: u32 = 12;
/// Lowest cost that bcrypt supports; for tests.
pub(crate) const BCRYPT_COST_MIN: u32 = 4;
/// Highest cost: about ten seconds on one core of a small machine. A hash of cost 31 takes days.
pub(crate) const BCRYPT_COST_MAX: u32 = 16;
/// An access token, bytes. Longer: refused without parsing.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the clock of the server may differ from the times of an access token, seconds.
pub const TOKEN_LEEWAY_SECONDS_MAX: u64 = 5;

/// The maximum of requests in one window that a rate limit may have.
pub(crate) const RATE_LIMIT_REQUESTS_MAX: u32 = 1_000;
/// Pairs of address and method whose requests are counted. More: the pair with the oldest window is removed.
pub(crate) const RATE_LIMIT_ADDRESSES_MAX: usize = 65_536;
/// The window in which attempts to log in are counted, seconds.
pub const LOGIN_WINDOW_SECONDS: u64 = 15 * 60;
/// Attempts of one address to log in to one account, in a window. More: 429.
pub const LOGIN_ATTEMPTS_OF_PAIR_MAX: u32 = 10;
/// Attempts of one address to log in to any account, in a window. More: 429.
pub const LOGIN_ATTEMPTS_OF_ADDRESS_MAX: u32 = 50;
/// Attempts to log in to one account from addresses that have never logged in to it, in a window. More: 429.
pub const LOGIN_ATTEMPTS_OF_ACCOUNT_MAX: u32 = 100;
/// The `Retry-After` of an attempt that is refused only because of pending checks: most have ended by then.
pub(crate) const LOGIN_CHECK_SECONDS: u64 = 1;
/// Counters of attempts to log in, of each of the three kinds. More: the lowest one is reused.
pub const LOGIN_COUNTERS_MAX: usize = 65_536;
/// Remembered pairs of an account and an address that has logged in to it. More: the pair with the fewest logins is
/// removed.
pub(crate) const LOGIN_PAIRS_KNOWN_MAX: usize = 65_536;
/// How long such a pair is remembered after its last login, seconds (90 days).
pub const LOGIN_PAIR_KNOWN_SECONDS: u64 = 90 * 24 * 3_600;
/// Expired entries that one request removes from a table of counters.
pub(crate) const EXPIRED_PER_CALL_MAX: usize = 4;
/// The lifetime of an access token, seconds, unless configured.
pub(crate) const TOKEN_TTL_SECONDS_DEFAULT: u64 = 3_600;
/// The minimum of that setting, seconds.
pub(crate) const TOKEN_TTL_SECONDS_MIN: u64 = 60;
/// The maximum of that setting, seconds (a day).
pub(crate) const TOKEN_TTL_SECONDS_MAX: u64 = 86_400;
/// Requests of one client to `/item` with one method in one window, unless configured. More: 429.
pub const RATE_LIMIT_REQUESTS_DEFAULT: u32 = 5;
/// Window in which `/item` counts requests, seconds, unless configured.
pub const RATE_LIMIT_WINDOW_SECONDS_DEFAULT: u64 = 60;
/// The maximum of that setting, seconds (a day).
pub(crate) const RATE_LIMIT_WINDOW_SECONDS_MAX: u64 = 86_400;
/// Addresses and networks in `trusted_proxies`.
pub(crate) const TRUSTED_PROXIES_MAX: usize = 64;
/// The host name of an origin, bytes (RFC 1035, section 2.3.4, without the root).
pub(crate) const HOST_BYTES_MAX: usize = 253;
/// A label of a host name, bytes (RFC 1035, section 2.3.4).
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
/// The lifetime of a browser session, seconds.
pub const SESSION_SECONDS: u64 = 86_400;
/// Sessions at the same time. More: 503.
pub(crate) const SESSIONS_MAX: u64 = 1_000_000;
/// How much `pikv account` reads from standard input, bytes: more than any password has.
pub(crate) const PASSWORD_INPUT_BYTES_MAX: u64 = 4 * 1024;
/// How much `pikv account` reads of the answer of a running server, bytes.
pub(crate) const CLIENT_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The head of a response that the program reads as a client, bytes and fields, and the size of a read.
pub(crate) const CLIENT_HEAD_BYTES_MAX: usize = 16 * 1024;
pub(crate) const CLIENT_FIELDS_MAX: usize = 64;
pub(crate) const CLIENT_READ_BYTES: usize = 16 * 1024;
/// How long `pikv account` waits for a running server, seconds.
pub(crate) const CLIENT_TIMEOUT_SECONDS: u64 = 60;
/// How long `pikv config set` waits for another command that uses the data directory, milliseconds, and between looks.
pub(crate) const CONFIG_SET_WAIT_MS: u64 = 2_000;
pub(crate) const CONFIG_SET_POLL_MS: u64 = 20;
/// How often a process tries to lock the directory of config.json, and the pause between two tries, milliseconds.
pub(crate) const DIRECTORY_LOCK_LOOKS_MAX: usize = 5_000;
pub(crate) const DIRECTORY_LOCK_LOOK_INTERVAL_MS: u64 = 2;
/// How long a change over the API waits for a reload if config.json was edited, milliseconds, and for how many reloads:
/// `pikv config set` saves the file a moment before the server reloads it.
pub(crate) const CONFIG_RELOAD_WAIT_MS: u64 = 1_000;
pub(crate) const CONFIG_RELOADS_MAX: usize = 20;
/// `engine.cells`: how many, the endpoints of one, and the bytes of a name and of a password.
pub(crate) const CELLS_MAX: usize = 32;
pub(crate) const CELL_ENDPOINTS_MAX: usize = 16;
pub(crate) const CELL_NAME_BYTES_MAX: usize = 32;
pub(crate) const CELL_PASSWORD_BYTES_MAX: u64 = 1_024;
/// `username` and `password_file` of a cell, bytes.
pub(crate) const CELL_TEXT_BYTES_MAX: usize = 1_024;
/// `engine.threads`: threads for the requests of one cell.
pub(crate) const CELL_THREADS_MIN: usize = 8;
pub(crate) const CELL_THREADS_DEFAULT: usize = 16;
pub(crate) const CELL_THREADS_MAX: usize = 64;
/// How often a request runs, if other instances change its project each time.
pub(crate) const STALE_RUNS_MAX: usize = 8;
/// How often a change of a project is tried, if other instances change the project each time.
pub(crate) const CATALOG_RACES_MAX: usize = 20;
/// A request to a cell of etcd ends after this long.
pub const CELL_REQUEST_MS: u64 = 2_000;
/// A write is not sent to a cell if its answer is due earlier than this.
pub(crate) const CELL_WRITE_MS_MIN: u64 = 250;
/// The commit of a write gets at least so much of that time, milliseconds, or more than is left of it.
pub(crate) const CELL_COMMIT_MS_MIN: u64 = 500;
/// Connecting to a member of a cell ends after this long.
pub(crate) const CELL_CONNECT_MS: u64 = 250;
/// A read that a member has not answered for this long is sent to another member.
pub(crate) const CELL_READ_ATTEMPT_MS: u64 = 700;
/// For how long a member of a cell that failed gets no request, at first and after several failures.
pub(crate) const CELL_BREAK_MS_MIN: u64 = 50;
pub(crate) const CELL_BREAK_MS_MAX: u64 = 1_000;
/// A response of a cell, bytes: more than any value has.
pub(crate) const CELL_ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Operations of a transaction for the largest batch: `--max-txn-ops` of members.
pub const CELL_TRANSACTION_OPERATIONS: usize = 4_096;
/// How long a start waits for the home cell, milliseconds, and between attempts.
pub(crate) const CELL_START_WAIT_MS: u64 = 30_000;
pub(crate) const CELL_START_RETRY_MS: u64 = 250;
/// Between two checks of a cell, milliseconds. The cell's clock is written as often.
pub(crate) const CELL_CARE_INTERVAL_MS: u64 = 2_000;
/// A member that has not answered a check for this long is down, milliseconds.
pub(crate) const CELL_CARE_ATTEMPT_MS: u64 = 1_000;
/// How long one check of a cell sweeps expired keys, milliseconds.
pub(crate) const CELL_SWEEP_MS_MAX: u64 = 1_000;
/// By how much the clock of this machine may differ from the cell's, milliseconds.
pub(crate) const CELL_CLOCK_DIFFERENCE_MS_MAX: u64 = 5_000;
/// Checks without a change of the cell's clock after which no other server keeps it.
pub(crate) const CELL_CLOCK_CHECKS_MIN: u32 = 3;
/// Attempts to mark a cell, each of which another server may have foiled.
pub(crate) const CELL_SETTLE_ATTEMPTS_MAX: usize = 20;
/// Records of projects that one transaction gives new bases: half of the 128 operations that etcd allows by default.
pub(crate) const CELL_REBASED_RECORDS_MAX: usize = 60;
/// A response of a cell with several values, bytes. A longer one is asked for again in parts.
pub(crate) const CELL_PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Names and values that one request of a listing asks a cell for, bytes, as far as the sizes before tell.
pub(crate) const CELL_PAGE_BYTES: usize = 64 * 1024;
/// Keys that one request reads from a cell with their values while the sizes are unknown. etcd encodes an answer as a
/// whole before it sends any of it, so a long one takes long.
pub(crate) const CELL_FIRST_KEYS_MAX: usize = 8;
/// Keys that one request of a listing reads from a cell with their values, and without them.
pub(crate) const CELL_PAGE_KEYS_MAX: usize = 256;
pub(crate) const CELL_PAGE_NAMES_MAX: usize = 1_024;
/// Keys of a piece of a long answer that one request reads from a cell.
pub(crate) const CELL_PIECE_KEYS_MAX: usize = 32;
/// Keys of a batch that one request reads from a cell, of the 128 operations that etcd allows by default.
pub(crate) const CELL_FETCHED_KEYS_MAX: usize = 100;
/// Keys that have expired and are not swept that one request reads from a cell. With more of them, project details
/// count them, too.
pub(crate) const CELL_DUE_KEYS_MAX: usize = 1_000;
/// A deletion by prefix of up to so many keys on a cell is one transaction.
pub const CELL_CLEARED_AT_ONCE_MAX: u64 = 100_000;
/// One of more keys removes so many in each step. A step reads their names first, and etcd then visits all keys of the
/// prefix.
pub(crate) const CELL_CLEARED_PER_STEP_MAX: usize = 10_000;
/// A request of a deletion by prefix ends after this long, milliseconds. On two busy cores etcd took a second to delete
/// 90,000 keys.
pub(crate) const CELL_CLEAR_REQUEST_MS: u64 = 10_000;
/// The last step of a deletion by prefix begins before, milliseconds. If keys are left then, the client has to send
/// the request again.
pub(crate) const CELL_CLEAR_MS_MAX: u64 = 35_000;
/// How long expired keys are removed before a deletion by prefix, milliseconds. With more of them it counts some.
pub(crate) const CELL_CLEAR_SWEEP_MS_MAX: u64 = 2_000;
/// How often failed requests to a cell are logged, milliseconds.
pub(crate) const CELL_FAILURES_LOGGED_EVERY_MS: u64 = 10_000;
/// Expired keys that one request to a cell removes. Each takes two operations, of the 128 that etcd allows by default.
pub(crate) const CELL_SWEPT_KEYS_MAX: usize = 60;
/// Projects that one request to the home cell reads.
pub(crate) const CELL_PLACEMENTS_PER_PAGE: i64 = 500;
/// Registrations of one address for which a password was hashed, in a window. More: 429.
pub const REGISTRATIONS_OF_ADDRESS_MAX: u32 = 120;
/// The window in which registrations are counted, seconds.
pub const REGISTRATION_WINDOW_SECONDS: u64 = 15 * 60;
/// Passwords that wait to be hashed, in each of the three queues of their lane. More: 503 for the address that has the
/// most.
pub const PASSWORD_QUEUE_MAX: usize = 64;
/// Threads that hash passwords. There are fewer if half the cores are fewer.
pub const PASSWORD_THREADS_MAX: usize = 4;

/// Keys and values that a copy reads and writes at once, bytes; a larger value goes alone. etcd takes requests of 1.5 MiB
/// (`--max-request-bytes`).
pub(crate) const COPY_BATCH_BYTES: usize = 1024 * 1024;
/// Keys that a copy writes at once, unless the cell takes fewer.
pub(crate) const COPY_BATCH_KEYS: usize = 1_000;
/// Operations that a copy writes at once to a cell whose members take few: etcd takes 128 in a transaction by default.
pub(crate) const COPY_BATCH_OPERATIONS_FEW: usize = 120;
/// A copy tries a batch again for this long if a cell does not answer.
pub(crate) const COPY_RETRY_MS: u64 = 30_000;
pub(crate) const COPY_RETRY_PAUSE_MS: u64 = 250;
/// How long a migration waits for a server to show that it uses a cell, milliseconds.
pub(crate) const CELL_IN_USE_MS: u64 = 5_000;
/// Attempts to announce the move of a project, each of which another command may have foiled.
pub(crate) const MOVE_RACES_MAX: usize = 10;

/// Journal bytes of one project that wait for the writer. More: 503, and nothing changes.
pub(crate) const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A piece of a listing, bytes, approximately. The lock is held for microseconds then.
pub const LISTING_PIECE_BYTES: usize = 32 * 1024;
/// Entries that a listing or a checkpoint visits in one critical section of a project, including expired ones.
pub(crate) const ENTRIES_PER_LOCK_MAX: usize = 256;
/// Entries or timers of one run. Whole runs can be counted and removed at once.
pub(crate) const RUN_ENTRIES_MAX: usize = 512;
/// The page of a run, bytes. It is larger only if the run has one entry that needs it.
pub(crate) const PAGE_BYTES: usize = 64 * 1024;
/// A page up to this size is an allocation, bytes. A larger one is a mapping of its own.
pub(crate) const HEAP_PAGE_BYTES_MAX: usize = 4 * 1024;
/// One part in so many of a page may be dead. If more is dead, the page is compacted.
pub(crate) const DEAD_PART_MAX: usize = 16;
/// A slot in a page, bytes.
pub(crate) const SLOT_BYTES: usize = 8;
/// Two neighbouring runs are merged if their live entries have at most this many bytes together.
pub(crate) const MERGED_BYTES_MAX: usize = PAGE_BYTES / 4 * 3;
/// The same for the number of their entries.
pub(crate) const MERGED_ENTRIES_MAX: usize = RUN_ENTRIES_MAX / 4 * 3;
/// Timers of expired keys that are visited in one critical section of a project to count the keys of a prefix. If there
/// are more, the keys are reclaimed first.
pub const ENDED_LOOKED_AT_MAX: u64 = 4_096;
/// The same for a count of all keys, while the timers of cleared keys are among them. If there are more, the count may
/// include expired keys.
pub(crate) const ENDED_COUNTED_MAX: u64 = 1_024;
/// Watermarks of expiry whose keys wait to be reclaimed, one after each time that the clock was set back. More: the
/// next watermark is recorded once there are fewer; its keys are absent by their own expiry.
pub(crate) const EXPIRY_WATERMARKS_MAX: usize = 16;
/// Pause between two critical sections of a project while another thread waits for its lock, microseconds: the lock is
/// not fair, and a waiting thread takes a moment to wake up.
pub(crate) const YIELD_MICROS: u64 = 50;
/// How often a deletion by prefix waits for expired keys to be reclaimed before it is refused with 503.
pub(crate) const EXPIRY_ROUNDS_BEFORE_CLEAR_MAX: u32 = 16;
/// How often the writer yields before it writes, while more changes arrive.
pub(crate) const GROUP_COMMIT_ROUNDS_MAX: u32 = 4;
/// Threads that open the files of projects at a start or a reload. Each leaves about 1 MiB of free memory in the
/// process.
pub(crate) const OPENING_THREADS_MAX: usize = 8;
/// The minimum number of projects for each of these threads.
pub const PROJECTS_PER_OPENING_THREAD_MIN: usize = 64;
/// Threads that write and sync. They wait for the disk nearly all the time, and a device takes many requests
/// at once, so there are more than cores; with 100 busy projects each waits for four syncs.
pub const WRITERS_MAX: usize = 32;
/// A writer that has nothing to do for this long ends, milliseconds; the first one stays.
pub(crate) const WRITER_QUIET_MS: u64 = 10_000;
/// Stack of a thread that writes or checkpoints, bytes.
pub(crate) const ENGINE_STACK_BYTES: usize = 512 * 1024;
/// Entries replaced or removed by a batch that its writer frees itself. More take a millisecond, so the long lane frees
/// them.
pub(crate) const FREED_AT_ONCE_MAX: usize = 4_096;
/// Batches and projects that wait for the long lane to free them. More: the thread that drops one frees it.
pub(crate) const FREED_LATER_MAX: usize = 64;
/// A project with more keys in memory is maintained in the long lane: the expiry of so many takes some milliseconds.
pub const LONG_KEYS_MIN: u64 = 16_384;
/// A project with more bytes of names and values is maintained in the long lane: a write of so many takes some
/// milliseconds.
pub(crate) const LONG_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Buffer that a project keeps between two writes, bytes. A larger one is freed.
pub(crate) const PENDING_BYTES_KEPT_MAX: usize = 256 * 1024;
/// Expired keys are reclaimed at most this often, milliseconds. For requests they are absent at once.
pub(crate) const EXPIRY_INTERVAL_MS: u64 = 1_000;
/// Expired entries reclaimed in one critical section of a project.
pub(crate) const RECLAIMED_PER_LOCK_MAX: usize = 256;
/// A file up to this size is checkpointed shortly after its last write, bytes.
pub(crate) const CHECKPOINT_SMALL_BYTES: u64 = 64 * 1024;
/// Changes in a journal that make a checkpoint due by their size alone, bytes. Without this minimum small files that
/// change all the time were rewritten and synced all the time.
pub(crate) const CHECKPOINT_CHANGES_BYTES_MIN: u64 = 1024 * 1024;
/// A journal with fewer changes has no reserve of spaces at its end, bytes.
pub(crate) const RESERVE_CHANGES_BYTES_MIN: u64 = 4 * 1024;
/// The largest memory page of a supported system, bytes: a sync of one byte writes that much.
pub const PAGE_BYTES_MAX: u64 = 64 * 1024;
/// The reserve of spaces at the end of a journal, bytes. It is never larger than the changes.
pub(crate) const RESERVE_BYTES_MAX: usize = 1024 * 1024;
/// Time without a write before a small file is checkpointed, milliseconds.
pub(crate) const CHECKPOINT_QUIET_MS: u64 = 1_000;
/// Shortest time between two checkpoints of a small file, milliseconds.
pub(crate) const CHECKPOINT_INTERVAL_MS: u64 = 10_000;
/// Wait after a checkpoint that failed, milliseconds.
pub(crate) const CHECKPOINT_RETRY_MS: u64 = 10_000;
/// How often a project with `sync: interval` is synced, seconds, unless configured.
pub(crate) const SYNC_INTERVAL_SECONDS_DEFAULT: u64 = 1;
/// The minimum of that setting, seconds.
pub(crate) const SYNC_INTERVAL_SECONDS_MIN: u64 = 1;
/// The maximum of that setting, seconds.
pub(crate) const SYNC_INTERVAL_SECONDS_MAX: u64 = 3_600;
/// After a write the files of a project are checked once more within this time, milliseconds.
pub(crate) const FILES_LOOK_AFTER_MS: u64 = 1_000;
/// How often the files of idle projects are checked while `/readyz` is requested, milliseconds.
pub(crate) const FILES_LOOK_INTERVAL_MS: u64 = 2_000;
/// The names of journal and directory are checked before a write, but at most this often, milliseconds.
pub const FILES_FRESH_MS: u64 = 50;
/// How often a process reads the holder of the lock of a data directory that the holder has not written yet.
pub(crate) const LOCK_LOOKS_MAX: u32 = 100;
/// Time between two such reads, milliseconds.
pub(crate) const LOCK_LOOK_INTERVAL_MS: u64 = 10;
/// How much is read of `pikv.lock`, bytes: a process id, the longest path of Linux, and a namespace.
pub(crate) const LOCK_FILE_BYTES_MAX: usize = 4 * 1024 + 128;
/// Buffer of sequential file reads and writes, bytes. It is small, because glibc returns up to twice the largest buffer
/// late, once for each thread that has one.
pub const FILE_BUFFER_BYTES: usize = 96 * 1024;
/// The first read of a file, bytes; the next ones grow to [`FILE_BUFFER_BYTES`]. Most files are small.
pub(crate) const FIRST_READ_BYTES: usize = 4 * 1024;
/// Earlier versions of a data file whose checksums the header of a journal keeps.
pub(crate) const PREDECESSORS_MAX: usize = 64;
/// Damaged parts of files that `pikv recover --salvage` lists. It counts the others.
pub(crate) const DAMAGES_LISTED_MAX: usize = 1_000;
/// One line of a journal, bytes: more than a batch of values with every byte escaped.
pub(crate) const JOURNAL_LINE_BYTES_MAX: usize = 8 * BODY_BYTES_MAX_CEILING;
/// Log lines that wait for standard error, bytes. More: lines are dropped and counted.
pub(crate) const LOG_BYTES_MAX: usize = 1024 * 1024;
/// Minimum time between two writes of log lines while there are few, milliseconds.
pub(crate) const LOG_INTERVAL_MS: u64 = 5;
/// A path, method or request id in the request log, bytes. Longer: cut.
pub(crate) const LOG_FIELD_BYTES_MAX: usize = 256;
/// A text of config.json or of the command line in a message, characters. Longer: cut.
pub(crate) const SHOWN_CHARACTERS_MAX: usize = 60;
/// The name of a parameter or a member in the answer to a request, characters. Longer: cut.
pub(crate) const SHOWN_NAME_CHARACTERS_MAX: usize = 40;
/// An origin or a host of a request in a refusal, characters. Longer: cut.
pub(crate) const SHOWN_ORIGIN_CHARACTERS_MAX: usize = 120;
/// A mistyped name for which the nearest known name is searched, bytes: more than any known name has.
pub(crate) const NEAREST_BYTES_MAX: usize = 64;
/// Symbolic links that are followed one after the other. More are a circle, and an open fails then.
pub(crate) const LINKS_MAX: usize = 40;
/// How much is read of `jwt.key`, bytes.
pub(crate) const SIGNING_KEY_FILE_BYTES_MAX: u64 = 1024;
/// How much is read of `pikv.revision`, bytes.
pub(crate) const WATERMARK_FILE_BYTES_MAX: u64 = 64;
/// Revisions that a start reserves above those in use, for changes that are not on disk; one run has fewer. A server
/// that is killed on a machine without a clock consumes them each time, and may be killed a million times.
pub(crate) const REVISIONS_RESERVED: u64 = 1 << 32;
/// How much is read of `pikv.address`, bytes.
pub(crate) const ADDRESS_FILE_BYTES_MAX: u64 = 128;
/// How long the server waits at a stop for the last log lines to be written, milliseconds.
pub(crate) const LOG_FLUSH_MS: u64 = 2_000;
/// How often config.json is synced until it does not change between two reads.
pub(crate) const CONFIG_SYNCS_MAX: u32 = 10;
/// The `version` of config.json that this program reads and writes.
pub(crate) const CONFIG_VERSION: u64 = 1;
/// config.json, bytes.
pub(crate) const CONFIG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A request head must be complete after this long, milliseconds. Otherwise: 408.
pub(crate) const HEAD_TIMEOUT_MS_DEFAULT: u64 = 10_000;
/// Grace period before the minimum rate of a body applies, milliseconds.
pub(crate) const BODY_GRACE_MS_DEFAULT: u64 = 20_000;
/// Minimum average rate of a body after the grace period, bytes a second. Slower: 408.
pub(crate) const BODY_BYTES_PER_SECOND_MIN_DEFAULT: u64 = 500;
/// A kept-alive connection without a request is closed after this long, milliseconds.
pub(crate) const IDLE_TIMEOUT_MS_DEFAULT: u64 = 60_000;
/// The connection of a client that has read nothing of its answer for this long is closed, milliseconds.
pub(crate) const WRITE_TIMEOUT_MS_DEFAULT: u64 = 30_000;
/// The connection of a request that the disk or a lane has not answered in this time is closed, milliseconds.
pub(crate) const REPLY_TIMEOUT_MS: u64 = 60_000;
/// A connection that is being closed is drained this long, milliseconds, and longer while bytes arrive.
pub(crate) const DRAIN_TIMEOUT_MS: u64 = 5_000;
/// So many bytes prolong the draining of a connection by one second.
pub(crate) const DRAIN_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// The maximum time of draining a connection, milliseconds.
pub(crate) const DRAIN_TIMEOUT_MS_MAX: u64 = 30_000;
/// Running requests may finish for this long at shutdown, milliseconds.
pub(crate) const SHUTDOWN_TIMEOUT_MS: u64 = 10_000;
/// The maximum of a timeout that is a setting, seconds.
pub(crate) const TIMEOUT_SECONDS_CEILING: u64 = 3_600;
/// The maximum of the setting of the minimum body rate, bytes a second.
pub(crate) const BODY_BYTES_PER_SECOND_MIN_CEILING: u64 = 1024 * 1024;
/// Clients that are accepted and wait for a connection to end. The others wait in the queue of the kernel.
pub(crate) const LINE_MAX: usize = 16;
/// If so many wait and none was served for this long, milliseconds, others are accepted in place of those whose address
/// has the most connections.
pub(crate) const LINE_STANDS_STILL_MS: u64 = 1_000;
/// The same if the first of them has waited this long, milliseconds.
pub(crate) const LINE_PATIENCE_MS: u64 = 3_000;
/// Clients accepted before the acceptor handles other events.
pub(crate) const ACCEPTS_PER_TURN_MAX: usize = 256;
/// How often other connections are closed while a client waits to be served, milliseconds.
pub(crate) const SHED_INTERVAL_MS: u64 = 100;
/// A connection on which nothing has arrived, or that the server is ending, is not closed for others for this long,
/// milliseconds: its client may be on a slow link.
pub(crate) const SILENT_GRACE_MS: u64 = 250;
/// Silent connections among which the one whose address has the most connections is chosen.
pub(crate) const SHED_CANDIDATES_MAX: usize = 64;
/// How often refused connections and requests are logged, milliseconds.
pub(crate) const REFUSALS_LOGGED_EVERY_MS: u64 = 60_000;
/// Pause of the acceptor after it ran out of descriptors, milliseconds.
pub(crate) const ACCEPT_PAUSE_MS: u64 = 100;

/// A difference between the wall clock and the monotonic clock that is logged as a jump, milliseconds. Steps by NTP
/// or by a person are longer; the two clocks are read microseconds apart.
pub(crate) const CLOCK_JUMP_MS_MIN: u64 = 2_000;
/// How often a difference below [`CLOCK_JUMP_MS_MIN`] is recorded, milliseconds.
pub(crate) const CLOCK_LOOK_INTERVAL_MS: u64 = 1_000;
/// A clock that is slewed by up to one part in so many does not jump. NTP slews by one in 2,000.
pub(crate) const CLOCK_SLEW_DIVISOR: u64 = 1_000;

const _: () = assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(HEAD_BYTES_MAX <= READ_BYTES);
const _: () = assert!(3 * KEY_BYTES_MAX < TARGET_BYTES_MAX, "a percent-encoded key fits a target");
const _: () = assert!(VALUE_DEPTH_MAX + LEVELS_AROUND_VALUE_MAX < BODY_DEPTH_MAX);
const _: () = assert!(BODY_DEPTH_MAX < SERDE_JSON_DEPTH_MAX);
const _: () = assert!(BODY_BYTES_MAX_DEFAULT <= BODY_BYTES_MAX_CEILING);
const _: () = assert!(MEMORY_BODIES_MIN * BODY_BYTES_MAX_DEFAULT <= MEMORY_BYTES_MAX_DEFAULT);
const _: () = assert!(MEMORY_BODIES_MIN * BODY_BYTES_MAX_CEILING <= MEMORY_BYTES_MAX_CEILING);
const _: () =
    assert!(CELL_PAGE_BYTES_MAX < CELL_ANSWER_BYTES_MAX && CELL_FIRST_KEYS_MAX < CELL_PAGE_KEYS_MAX);
const _: () = assert!(CELL_WRITE_MS_MIN < CELL_COMMIT_MS_MIN && CELL_COMMIT_MS_MIN < CELL_REQUEST_MS);
const _: () = assert!(CELL_CLEAR_SWEEP_MS_MAX + 2 * CELL_REQUEST_MS < CELL_CLEAR_MS_MAX);
const _: () = assert!(
    CELL_CLEAR_MS_MAX + 2 * CELL_CLEAR_REQUEST_MS <= REPLY_TIMEOUT_MS,
    "a deletion by prefix is answered"
);
const _: () = assert!(LINE_MAX < DESCRIPTORS_RESERVED);
const _: () = assert!(CONNECTION_BYTES_UNCOUNTED < LARGE_ANSWER_BYTES);
const _: () = assert!(BODY_BYTES_MAX_CEILING as u64 <= ANSWER_BYTES_MAX, "every value fits an answer");
const _: () = assert!(BODY_BYTES_MAX_CEILING <= VALUE_BYTES_MAX, "a written value can be imported");
const _: () =
    assert!(VALUE_BYTES_MAX + KEY_TEXT_BYTES_MAX < JOURNAL_LINE_BYTES_MAX, "every member is read back");
const _: () = assert!(DRAIN_TIMEOUT_MS < DRAIN_TIMEOUT_MS_MAX);
const _: () = assert!(CONNECTIONS_MAX_DEFAULT <= CONNECTIONS_MAX_CEILING);
const _: () = assert!(BODY_BYTES_PER_SECOND_MIN_DEFAULT <= BODY_BYTES_PER_SECOND_MIN_CEILING);
const _: () = assert!(HEAD_TIMEOUT_MS_DEFAULT <= TIMEOUT_SECONDS_CEILING * 1_000);
const _: () = assert!(IDLE_TIMEOUT_MS_DEFAULT <= TIMEOUT_SECONDS_CEILING * 1_000);
const _: () = assert!(CELL_IN_USE_MS > 2 * CELL_CARE_INTERVAL_MS);
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
const _: () = assert!(PAGE_BYTES <= 1 + u16::MAX as usize, "the offset of an entry fits u16");
const _: () = assert!(HEAP_PAGE_BYTES_MAX < PAGE_BYTES);
const _: () = assert!(MERGED_ENTRIES_MAX <= RUN_ENTRIES_MAX, "the entries of merged runs fit one run");
// Dead bytes are at most one part in DEAD_PART_MAX of a page, so one in DEAD_PART_MAX - 1 of its live bytes.
const _: () = assert!(
    MERGED_BYTES_MAX + MERGED_BYTES_MAX / (DEAD_PART_MAX - 1) + MERGED_ENTRIES_MAX * SLOT_BYTES <= PAGE_BYTES,
    "the live entries of merged runs fit one page, with their slots and the dead bytes of the first run"
);
