#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/facts.h"
#include "protocol/reply_queue.h"
#include "proxy/audit/record.h"
#include "proxy/telemetry/statement.h"

/// The statements of one session as spans.
namespace sallyport::proxy::session {

/// Follows what the gate does and decides nothing. A gate has one only while telemetry is on.
///
/// `frame`: of the region under decision; a region is planned several times, and what is known of
/// a frame stays until forget(). `number`: of what was sent, in expected_reply::statement.
/// Lifecycle: owned by its gate, on its worker. Takes no lock and does no I/O.
class statement_watch {
  public:
    statement_watch(telemetry::statement_sink& sink, telemetry::session_identity who);
    ~statement_watch();
    statement_watch(const statement_watch&) = delete;
    statement_watch& operator=(const statement_watch&) = delete;

    // while it is decided
    /// The turn of a region has come.
    void region_began();
    /// `portal`: what it executes or makes, null: nothing. `sql` is read for a traceparent, once.
    void consider(std::size_t frame, char tag, const void* portal, std::string_view sql,
                  bool conform);
    /// It will be refused.
    void denied(std::size_t frame, const char* outcome, const std::string& rule);
    void held(std::size_t frame, const policy::facts_ptr& facts, policy::hold_id id,
              const std::string& rule);
    void hold_ended(policy::hold_id id, policy::hold_state how);
    /// Adds trace_id and span_id.
    void add_ids(std::size_t frame, audit::record& r) const;
    void add_ids(std::size_t frame, policy::hold& h) const;

    // once it goes
    /// The number for its reply; 0: it is no statement.
    [[nodiscard]] std::uint32_t sent(std::size_t frame, char tag, const policy::facts_ptr& facts,
                                     std::string_view outcome, std::string_view rule);
    /// Something that fails goes in its place.
    [[nodiscard]] std::uint32_t refused(std::size_t frame, const policy::facts_ptr& facts,
                                        const std::string& sqlstate);
    /// The region is done with.
    void forget();

    // its answer
    /// The server has refused to parse it when it was asked for that alone.
    void unparsed(std::string_view sqlstate) { unparsed_ = sqlstate; }
    /// … and its client has that answer.
    void answered_ahead(std::size_t frame, const policy::facts_ptr& facts);
    void replied(const protocol::reply_event& e);
    void failed(const protocol::expected_reply& who, std::string_view sqlstate);
    /// It will have no answer: the server skips it.
    void skipped(std::uint32_t number);
    /// Nothing is answered any more.
    void abandon();

    /// As the client named itself last.
    void application(const std::string& name);

  private:
    struct considered {
        std::size_t frame = 0;
        char tag = 0;
        bool taken = false;  ///< a Bind: its Execute is the statement
        const void* portal = nullptr;
        telemetry::span_ids ids;
        const char* outcome = "";
        std::string rule;
        policy::facts_ptr facts;  ///< of one that is or was held
        std::vector<telemetry::hold_wait> holds;
    };
    struct running {
        std::uint32_t number = 0;
        std::unique_ptr<telemetry::statement_span> span;
    };
    [[nodiscard]] considered* find(std::size_t frame);
    [[nodiscard]] considered* find_bind(const void* portal);
    [[nodiscard]] const considered* find(std::size_t frame) const;
    std::uint32_t begin(considered c, const policy::facts_ptr& facts);
    [[nodiscard]] running* find_running(std::uint32_t number);
    void finish(std::uint32_t number);
    void give(std::unique_ptr<telemetry::statement_span> span);

    telemetry::statement_sink& sink_;
    std::shared_ptr<const telemetry::session_identity> who_;
    telemetry::wall_time began_{};    ///< zero: no region is under decision
    std::vector<considered> region_;  ///< by frame
    std::deque<running> running_;     ///< by number
    std::uint32_t next_ = 1;
    std::string unparsed_;
};

}  // namespace sallyport::proxy::session
