#include "proxy/store/connection.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/store/schema.h"
#include "proxy/store/store.h"

namespace sallyport::proxy::store {

namespace {

constexpr int busy_timeout_ms = 5000;

std::string next_step(int code) {
    switch (code & 0xFF) {
        case SQLITE_FULL:
            return "make room on its disk; the next call tries again";
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
            return "let the proxy's user write the file and its directory; the next call tries "
                   "again";
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return "end the program that keeps the file locked";
        case SQLITE_IOERR:
            return "look at the disk and the kernel's log; the next call tries again";
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return "move the file away to keep it, and restore a copy or start with a new one";
        case SQLITE_CONSTRAINT:
            return "the state did not allow it; nothing was changed";
        default:
            return "nothing was changed";
    }
}

[[noreturn]] void fail(sqlite3* db, const std::string& path) {
    const int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
    const std::string text = db ? sqlite3_errmsg(db) : "out of memory";
    throw store_error("state " + path + ": " + text + " (SQLite " + std::to_string(code) + "); " +
                      next_step(code));
}

[[noreturn]] void fail_errno(const std::string& path, const std::string& what) {
    throw store_error("state " + path + ": " + what + ": " +
                      std::generic_category().message(errno) +
                      "; the proxy's user must own the file and its directory");
}

}  // namespace

statement::statement(sqlite3* db, sqlite3_stmt* s, const std::string& path)
    : db_(db), statement_(s), path_(path) {}

statement::~statement() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
}

statement& statement::bind(std::int64_t value) {
    if (sqlite3_bind_int64(statement_, ++bound_, value) != SQLITE_OK) fail(db_, path_);
    return *this;
}

statement& statement::bind(std::string_view text) {
    // An empty view may have a null pointer, which SQLite would bind as NULL.
    if (sqlite3_bind_text64(statement_, ++bound_, text.empty() ? "" : text.data(), text.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK)
        fail(db_, path_);
    return *this;
}

statement& statement::bind_blob(std::string_view bytes) {
    if (sqlite3_bind_blob64(statement_, ++bound_, bytes.empty() ? "" : bytes.data(), bytes.size(),
                            SQLITE_TRANSIENT) != SQLITE_OK)
        fail(db_, path_);
    return *this;
}

bool statement::step() {
    switch (sqlite3_step(statement_)) {
        case SQLITE_ROW:
            return true;
        case SQLITE_DONE:
            return false;
        default:
            fail(db_, path_);
    }
}

void statement::run() {
    while (step()) {
    }
}

std::int64_t statement::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

std::string statement::text(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return bytes ? std::string(bytes, size) : std::string();
}

connection::connection(std::string path) : path_(std::move(path)) {
    try {
        lock_file();
        open();
        migrate();
    } catch (...) {
        close();
        if (lock_fd_ >= 0) ::close(lock_fd_);
        throw;
    }
}

connection::~connection() {
    close();
    if (lock_fd_ >= 0) ::close(lock_fd_);
}

void connection::lock_file() {
    // A file of its own: SQLite's POSIX locks on the database would be lost when another descriptor
    // of this process on it is closed.
    const auto lock_path = path_ + ".lock";
    lock_fd_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_fd_ < 0) fail_errno(lock_path, "cannot be opened");
    if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
        throw store_error("state " + path_ +
                          ": another proxy uses it; stop that one, or give this one a file of its "
                          "own");
}

void connection::open() {
    const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) fail_errno(path_, "cannot be opened");
    // Statements stand in it unredacted: nobody else may read it, whatever a copy or a restore
    // left. SQLite gives its -wal and -shm files the same mode.
    const bool is_private = ::fchmod(fd, 0600) == 0;
    ::close(fd);
    if (!is_private) fail_errno(path_, "cannot be made private (0600)");
    if (sqlite3_open_v2(path_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        nullptr) != SQLITE_OK)
        fail(db_, path_);
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, busy_timeout_ms);
    // An attacker who can write the file must not be able to run SQL functions through its schema.
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    execute("PRAGMA journal_mode = WAL");
    execute("PRAGMA synchronous = FULL");
    execute("PRAGMA foreign_keys = ON");
    execute("PRAGMA secure_delete = ON");
    broken_ = false;
}

void connection::close() noexcept {
    for (const auto& [sql, prepared] : prepared_)
        sqlite3_finalize(prepared);
    prepared_.clear();
    sqlite3_close_v2(db_);
    db_ = nullptr;
}

void connection::migrate() {
    constexpr auto newest = static_cast<std::int64_t>(schema::steps.size());
    std::int64_t version = 0;
    {
        auto s = prepare("PRAGMA user_version");
        if (s.step()) version = s.integer(0);
    }
    if (version < 0 || version > newest)
        throw store_error("state " + path_ + ": has schema version " + std::to_string(version) +
                          ", this sallyport knows versions up to " + std::to_string(newest) +
                          "; run the newer sallyport that wrote it, or restore an older copy");
    for (; version < newest; ++version) {
        transaction t(*this);
        execute(schema::steps[static_cast<std::size_t>(version)]);
        execute("PRAGMA user_version = " + std::to_string(version + 1));
        t.commit();
    }
}

statement connection::prepare(const char* sql) {
    auto& slot = prepared_[sql];
    if (!slot &&
        sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &slot, nullptr) != SQLITE_OK) {
        prepared_.erase(sql);
        fail(db_, path_);
    }
    return {db_, slot, path_};
}

void connection::execute(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(db_, path_);
}

std::int64_t connection::last_id() const {
    return sqlite3_last_insert_rowid(db_);
}
int connection::changes() const {
    return sqlite3_changes(db_);
}

void connection::note_error() noexcept {
    const int code = db_ ? sqlite3_errcode(db_) & 0xFF : SQLITE_CANTOPEN;
    broken_ = broken_ || (code != SQLITE_CONSTRAINT && code != SQLITE_OK && code != SQLITE_DONE &&
                          code != SQLITE_ROW);
    if (db_ && !sqlite3_get_autocommit(db_))
        sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void connection::reopen_if_broken() {
    if (!broken_ && db_) return;
    close();
    broken_ = true;
    open();
}

transaction::transaction(connection& c) : connection_(c) {
    c.execute("BEGIN IMMEDIATE");
}

transaction::~transaction() {
    if (open_) connection_.note_error();
}

void transaction::commit() {
    connection_.execute("COMMIT");
    open_ = false;
}

}  // namespace sallyport::proxy::store
