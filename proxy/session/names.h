#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/facts.h"
#include "policy/opt_out.h"

/// Which statement a name stands for, as far as the server has confirmed it.
namespace sallyport::proxy::session {

using text_ptr = std::shared_ptr<const std::string>;

/// What a prepared statement or a portal runs.
struct bound_sql {
    policy::facts_ptr facts;  ///< null: no such thing
    text_ptr text;            ///< exact SQL, for approvers and records
    std::uint32_t epoch = 0;  ///< name_table::epoch() when it was made
};

/// A portal or SQL cursor: one execution, perhaps fetched in parts.
struct portal {
    bound_sql sql;
    bool from_sql = false;  ///< DECLARE: seen by FETCH, may outlive its transaction if `with_hold`
    bool with_hold = false;
    bool recorded = false;  ///< its bypass or release is on record: fetching on needs no second one
    std::vector<policy::pass> released_by;  ///< statement passes this execution was released with
};

/// Statements and portals of one session.
///
/// A change is staged when its message goes upstream and takes effect when the server confirms it;
/// if the server skips or refuses the message, the old meaning stays, as it does on the server.
/// SQL PREPARE, DECLARE, DEALLOCATE, CLOSE share the tables with the protocol's messages.
class name_table {
  public:
    enum class change : std::uint8_t { parse, bind, close_statement, close_portal, sql };
    struct staged {
        std::uint32_t tag = 0;
        change what = change::parse;
        std::uint32_t batch = 0;
        std::string name;
        bound_sql sql;
        std::unique_ptr<portal> made;           // bind
        std::vector<policy::name_use> uses;     // sql
        text_ptr text;                          // sql: the whole text
        bool several = false;                   // sql: one of several statements of a Query
        bool query = false;                     // sql: a Query, which drops the unnamed statement
        bool recorded = false;                  // sql: DECLARE that is on record …
        std::vector<policy::pass> released_by;  // … and was released with these
    };

    /// `statements_max` bounds statements and portals alike; `text_bytes_max` the texts that the
    /// statements keep.
    explicit name_table(std::size_t statements_max, std::size_t text_bytes_max = 64u << 20)
        : statements_max_(statements_max), text_bytes_max_(text_bytes_max) {}

    /// The statement as the next message would find it; null if unknown.
    [[nodiscard]] const bound_sql* find_statement(std::string_view name) const;
    [[nodiscard]] portal* find_portal(std::string_view name);
    /// A change to this name was sent before the last Sync and is not answered yet: wait.
    [[nodiscard]] bool in_doubt(std::string_view name) const noexcept;
    /// SQL that was staged before `mark` and is not answered yet (PREPARE, DEALLOCATE, DECLARE …)
    /// changes what this name means.
    [[nodiscard]] bool changed_by_sql(std::string_view name, std::size_t mark) const noexcept;
    [[nodiscard]] bool anything_staged() const noexcept { return !staged_.empty(); }

    [[nodiscard]] std::uint32_t stage(staged s);
    [[nodiscard]] std::size_t mark() const noexcept { return staged_.size(); }
    /// Takes back what was staged after mark(): it was not sent.
    void unstage(std::size_t mark) noexcept;

    void confirm(std::uint32_t tag);
    void drop(std::uint32_t tag);
    /// The Query that held these changes failed somewhere: whatever it touched is unknown now.
    void doubt(std::uint32_t tag);
    /// A DECLARE that passes by grants: what its cursor may go on with.
    void carry(std::uint32_t tag, const std::vector<policy::pass>& released_by);
    void sync_sent() noexcept { ++batch_; }
    /// ReadyForQuery 'I': portals and cursors without hold are gone.
    void transaction_ended();
    /// Nothing is in flight, and the server is told to drop the unnamed statement.
    void drop_unnamed() { unnamed_ = {}; }
    /// A Query drops the unnamed statement: does it matter here?
    [[nodiscard]] bool unnamed_matters() const noexcept;
    /// The Query with this tag is sent: unless the server skips it, the unnamed statement goes.
    void stage_query(std::uint32_t tag);

    /// Something ran whose effects are not known: what named statements mean is not certain.
    void lose_trust() noexcept { ++epoch_; }
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
    /// No further statement, or none with a text of this size, may be sent to the server. What was
    /// sent and is not confirmed counts.
    [[nodiscard]] bool full(std::size_t text_bytes = 0) const noexcept {
        return statements_.size() + staged_statements_ >= statements_max_ ||
               text_bytes_ + text_bytes > text_bytes_max_;
    }
    [[nodiscard]] bool portals_full() const noexcept {
        return portals_.size() + staged_portals_ >= statements_max_;
    }

  private:
    /// Counts one staged change, or with -1 no longer.
    void count(const staged& s, int sign) noexcept;
    void keep(const std::string& name, bound_sql sql);
    void forget(const std::string& name);
    void forget_statements() noexcept;
    void apply_sql(const staged& s);
    void apply_use(const policy::name_use& u, const staged& from);

    std::size_t statements_max_;
    std::size_t text_bytes_max_;
    std::size_t text_bytes_ = 0;  // of named statements, staged ones included
    std::size_t staged_statements_ = 0;
    std::size_t staged_portals_ = 0;
    std::unordered_map<std::string, bound_sql> statements_;
    std::unordered_map<std::string, portal> portals_;
    bound_sql unnamed_;
    std::unique_ptr<portal> unnamed_portal_;
    std::deque<staged> staged_;  // in the order of their replies
    std::uint32_t next_tag_ = 1;
    std::uint32_t batch_ = 1;
    std::uint32_t epoch_ = 0;
};

}  // namespace sallyport::proxy::session
