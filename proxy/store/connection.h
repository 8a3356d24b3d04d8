#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

/// A thin, checked layer over SQLite's C interface. Internal to this folder.
namespace sallyport::proxy::store {

/// One prepared statement in use; reset when it goes, so that no read transaction stays open.
class statement {
  public:
    statement(sqlite3* db, sqlite3_stmt* s, const std::string& path);
    ~statement();
    statement(const statement&) = delete;
    statement& operator=(const statement&) = delete;

    /// Binds the next parameter, in order.
    statement& bind(std::int64_t value);
    statement& bind(std::string_view text);
    statement& bind_blob(std::string_view bytes);
    /// True for a row, false at the end. Errors: store_error.
    bool step();
    /// For statements without rows.
    void run();
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] std::string text(int column) const;

  private:
    sqlite3* db_;
    sqlite3_stmt* statement_;
    const std::string& path_;
    int bound_ = 0;
};

/// The open file, its settings, and its prepared statements by their text.
class connection {
  public:
    /// Makes the file (0600) if it is missing, locks it against a second proxy, migrates it.
    /// Errors: store_error, one line.
    explicit connection(std::string path);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// `sql` must be a literal: it is the key of the cache.
    [[nodiscard]] statement prepare(const char* sql);
    void execute(const std::string& sql);
    [[nodiscard]] std::int64_t last_id() const;
    [[nodiscard]] int changes() const;
    /// After an I/O error SQLite's view of the file may be stale: the next call opens it anew.
    void reopen_if_broken();
    void note_error() noexcept;

  private:
    void open();
    void close() noexcept;
    void migrate();
    void lock_file();

    std::string path_;
    sqlite3* db_ = nullptr;
    int lock_fd_ = -1;
    bool broken_ = false;
    std::map<std::string_view, sqlite3_stmt*> prepared_;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back unless commit() was reached.
class transaction {
  public:
    explicit transaction(connection& c);
    ~transaction();
    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;
    void commit();

  private:
    connection& connection_;
    bool open_ = true;
};

}  // namespace sallyport::proxy::store
