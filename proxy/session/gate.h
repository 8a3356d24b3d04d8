#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/catalog/resolve.h"
#include "policy/decide.h"
#include "policy/facts.h"
#include "policy/hold.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/reply_queue.h"
#include "proxy/approval/steward.h"
#include "proxy/clock.h"
#include "proxy/console.h"
#include "proxy/rule_uses.h"
#include "proxy/session/action.h"
#include "proxy/session/counters.h"
#include "proxy/session/names.h"
#include "proxy/session/permit.h"
#include "proxy/session/prepared_transactions.h"
#include "proxy/session/reply_buffer.h"
#include "proxy/session/statement_watch.h"
#include "proxy/session/texts.h"

/// Everything between a client's message and the server's, without I/O.
namespace sallyport::proxy::session {

/// Finds the facts of a text at once, or says that it must be looked at elsewhere (null).
class facts_source {
  public:
    virtual ~facts_source() = default;
    virtual policy::facts_ptr find(std::string_view sql, bool standard_conforming_strings) = 0;
};

/// The catalogs of the targets, as far as the gate needs them.
class catalog_source {
  public:
    struct look_result {
        bool configured = false;               ///< the target has a catalog login
        bool fresh = false;                    ///< `newest` was true a moment ago
        policy::catalog::snapshot_ptr newest;  ///< null: it cannot be had
    };
    virtual ~catalog_source() = default;
    [[nodiscard]] virtual look_result look(std::string_view target) = 0;
    /// policy::catalog::resolve, remembered for texts without names of the session's own.
    [[nodiscard]] virtual policy::catalog::resolution resolve(
        const policy::facts_ptr& facts, const policy::catalog::snapshot_ptr& snapshot,
        const policy::catalog::session_names& names) = 0;
};

struct gate_limits {
    std::uint64_t inspect_bytes = 4u << 20;
    std::uint64_t message_bytes = 1u << 30;
    std::size_t prepared_statements = 1'000;
    std::size_t lookahead_bytes = 256u << 10;  ///< of one batch, before it is decided in parts
    /// The role that statements run as unless a pass or an opt-out stands behind them; "" = the
    /// login's own, always.
    std::string unapproved_role;
};

/// What a gate borrows from its worker; outlives it. Rules and grants are refreshed by the worker
/// before each step.
struct gate_environment {
    policy::rule_set_ptr rules;
    policy::grants_ptr grants;
    facts_source* facts = nullptr;
    catalog_source* catalog = nullptr;          ///< null: no target has a catalog
    prepared_transactions* prepared = nullptr;  ///< null: none is known
    const clock* time = nullptr;
    std::string approve_url;             ///< where people approve, "" = nowhere but CLI and console
    rule_uses* uses = nullptr;           ///< null: not counted
    statement_counts* counts = nullptr;  ///< null: not counted
};

/// The gate of one session that has an upstream.
///
/// Bytes in, actions out. What is not consumed stays with the caller and is given again, so a frame
/// may be cut anywhere. Messages of the extended protocol are decided together up to their Sync,
/// Flush or the end of what has arrived: nothing of an implicit transaction goes upstream before
/// all of it may, where that can be known.
///
/// State         what it means for the client
/// open          messages flow
/// analysing     its statement is being parsed elsewhere
/// draining      what it sent before must be answered before this statement is decided
/// opening, held its statement waits for a person
/// recording     its statement passes as soon as its record is on disk
/// probing       the server is asked whether it finds the same syntax error as we do, or what the
///               search_path is
/// refreshing    the catalog is looked at
/// leaving       it said Terminate; what it asked for before is still answered
/// closed        over
class gate {
  public:
    enum class state : std::uint8_t {
        open,
        analysing,
        draining,
        opening,
        held,
        recording,
        probing,
        refreshing,
        asking,
        leaving,
        closed
    };

    gate(const gate_environment& env, policy::subject subject, gate_limits limits,
         std::shared_ptr<const protocol::frame_limits> client_limits);

    /// Bytes of the client, from the first unconsumed one; returns how many were consumed.
    /// `waited`: the client has sent nothing more for a while; a batch without Sync is decided as
    /// it is.
    enum class patience : std::uint8_t { normal, waited };
    [[nodiscard]] std::size_t on_client(protocol::bytes data, patience p, actions& out);
    /// Bytes of the server; returns how many were consumed.
    [[nodiscard]] std::size_t on_server(protocol::bytes data, actions& out);

    void on_facts(policy::facts_ptr facts, actions& out);
    /// The check that action::type::refresh_catalog asked for has ended, well or not.
    void on_catalog(actions& out);
    /// What came of action::type::ask_hold.
    void on_asked(const approval::steward::asked& a, actions& out);
    /// What action::type::ask_console asked for.
    void on_shown(console_result answer);
    /// `until`: when it expires; zero: after the wait that was asked for.
    void on_hold_opened(policy::hold_id id, const std::string& error, actions& out,
                        policy::instant until = {});
    void on_hold_outcome(const approval::hold_outcome& outcome, actions& out);
    void on_recorded(std::uint32_t ticket, std::unique_ptr<audit::receipt> proof,
                     const std::string& error, actions& out);
    /// True if the cancel was for a statement that waits here (and was withdrawn); false if it is
    /// for the server.
    [[nodiscard]] bool on_cancel(actions& out);
    /// The client is gone, or the session is to end: what waits is withdrawn.
    void on_client_gone(const std::string& why, actions& out);
    /// A reminder for a client that waits.
    void remind(actions& out);

    /// on_client() would consume nothing now, whatever it is given.
    [[nodiscard]] bool blocked() const noexcept { return state_ != state::open; }
    [[nodiscard]] state current() const noexcept { return state_; }
    /// Messages of a batch wait for their Sync: call on_client with patience::waited after a tick.
    [[nodiscard]] bool deferring() const noexcept { return deferring_; }
    /// In the middle of a message that is being passed on: the upstream cannot be kept if the
    /// client goes.
    [[nodiscard]] bool in_message() const noexcept { return client_rest_bytes_ != 0; }

    /// Replies that the client has not asked for yet: they go ahead of what is told to it besides.
    [[nodiscard]] std::string take_buffered() { return buffered_.flush(); }
    [[nodiscard]] bool keeps_replies() const noexcept { return !buffered_.empty(); }

    /// What has been taken from the server for the client ends with a whole message.
    [[nodiscard]] bool between_replies() const noexcept {
        return server_rest_bytes_ == 0 || drop_server_rest_;
    }

    [[nodiscard]] const protocol::reply_queue& replies() const noexcept { return replies_; }
    [[nodiscard]] protocol::reply_queue& replies() noexcept { return replies_; }
    [[nodiscard]] bool saw_fatal() const noexcept { return saw_fatal_; }
    [[nodiscard]] policy::hold_id hold() const noexcept { return hold_; }
    [[nodiscard]] policy::instant hold_until() const noexcept { return hold_until_; }
    [[nodiscard]] const policy::subject& subject() const noexcept { return subject_; }
    [[nodiscard]] policy::subject& subject() noexcept { return subject_; }
    /// When the server first said that a transaction is open, or of one that is: its statements may
    /// have begun earlier. Zero: none is open.
    [[nodiscard]] policy::instant transaction_since() const noexcept { return transaction_since_; }
    /// Newest statement that was decided, redacted; null before the first.
    [[nodiscard]] const policy::facts_ptr& last_facts() const noexcept { return last_facts_; }
    /// Opt-outs that this session has used, for when one of them ends.
    [[nodiscard]] const std::vector<policy::opt_out_id>& used_opt_outs() const noexcept {
        return used_opt_outs_;
    }

    // What the startup packet or SET gave.
    void set_reason(std::string reason) { reason_ = std::move(reason); }
    void set_refuse_holds(bool refuse) noexcept { refuse_holds_ = refuse; }
    /// The session is one of replication: the server reads commands of that protocol besides SQL.
    void set_replication() noexcept { replication_ = true; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    [[nodiscard]] bool strings_conform() const noexcept { return strings_conform_; }
    /// What let the session itself in, on record since then: rules that speak of the session find
    /// these at every statement, without a further record.
    void admit(std::vector<policy::pass> passes, std::vector<policy::opt_out_id> opt_outs) {
        admissions_ = std::move(passes);
        admitted_by_ = std::move(opt_outs);
    }
    /// It rests on nothing but what let the session in.
    [[nodiscard]] bool only_admitted(const policy::decision& d) const;
    /// An opt-out has ended and its rule lets the open transaction finish until `until`: in that
    /// transaction it goes on letting pass what it let pass, and nothing else.
    void drain(policy::opt_out ended, policy::instant until) {
        ended.until = until;
        draining_.push_back(std::move(ended));
    }
    /// Grows when the end of a transaction is sent, chained or not.
    [[nodiscard]] std::uint64_t transactions_left() const noexcept { return transactions_left_; }
    /// A ParameterStatus of the upstream's login, before the gate sees its bytes.
    void note_parameter(std::string_view name, std::string_view value);
    /// Its statements are told to telemetry.
    void watch(std::unique_ptr<statement_watch> w) { watch_ = std::move(w); }
    void add_search_path(std::string_view value);

  private:
    enum class outcome : std::uint8_t { forward, refuse, wait, split };

    /// What running something may do to the meaning of what is sent behind it.
    struct effects {
        bool names = false;      ///< what prepared statements and portals stand for
        bool lexing = false;     ///< string syntax or encoding: where a text's strings end
        bool varies = false;     ///< lexing, in a way that the end of a transaction takes back
        bool functions = false;  ///< a function was called, which may do the same
        bool path = false;       ///< the search_path, or what it finds
        bool defines = false;    ///< what names stand for: DDL, or code that may do it
        bool ends = false;       ///< the transaction
    };

    /// One frame of the region under decision.
    struct planned {
        char tag = 0;
        std::size_t offset = 0;
        std::size_t bytes = 0;  ///< whole frame
        bool partial = false;   ///< only its beginning is here; the rest is passed on
        protocol::expected_reply reply;
        bool answers = false;        ///< `reply` counts
        std::size_t names_mark = 0;  ///< staged names before this frame
        effects after;               ///< of running it
        policy::facts_ptr facts;
        permit proof = permit::none();
        std::string instead;  ///< the frame that goes in its place; "" = itself
        statement_counts::slot counted = statement_counts::none;  ///< where, once it goes
    };
    /// Something that got round a holding rule and must be on record first.
    struct granted {
        std::size_t frame = 0;
        std::vector<policy::opt_out_id> opt_outs;
        std::vector<policy::pass> passes;
        policy::decision decision;
        policy::facts_ptr facts;
        text_ptr text;
        policy::instant until{};         ///< the earliest end of what it passes by
        bool drained = false;            ///< by an opt-out that ended inside the open transaction
        portal* target = nullptr;        ///< the execution, as of the newest plan
        std::vector<policy::pass> kept;  ///< what that execution may go on with
    };

    /// What is being decided, and how to show it.
    struct considered {
        policy::facts_ptr facts;
        text_ptr text;  ///< null: `sql` is the text, not copied yet
        std::string_view sql;
        portal* target = nullptr;  ///< the execution it belongs to
        const protocol::frontend::bind* bind = nullptr;
        bool cut = false;  ///< the message was too long to be shown whole
        [[nodiscard]] text_ptr whole_text() const {
            return text ? text : std::make_shared<const std::string>(sql);
        }
    };

    // client side (gate_client.cpp)
    [[nodiscard]] bool too_much_in_flight(char tag) const noexcept;
    std::size_t pass_body(protocol::bytes data, actions& out);
    std::size_t pass_copy_data(protocol::bytes data, actions& out);
    std::size_t skip_to_sync(protocol::bytes data, actions& out);
    bool find_region(protocol::bytes data, patience p, actions& out);
    bool add_frame(protocol::bytes data, std::size_t offset, actions& out);
    std::size_t run_region(protocol::bytes data, actions& out);
    void forward_region(protocol::bytes data, std::size_t frames, actions& out);
    void watch_sent(std::size_t i);
    void forward_frame_effects(planned& f, actions& out);
    void keep_permits() noexcept;
    std::size_t refuse_at(protocol::bytes data, std::size_t frame, actions& out);
    void inject_failure(char tag, refusal why, actions& out, std::uint32_t statement = 0);
    void violation(const std::string& what, actions& out);
    void lose_track(actions& out);
    std::size_t consumed_up_to(std::size_t frames) const noexcept;

    // decisions (gate_plan.cpp)
    outcome plan(protocol::bytes data, actions& out);
    outcome plan_once(protocol::bytes data, actions& out);
    outcome plan_frame(std::size_t i, protocol::bytes body, actions& out);
    outcome plan_query(std::size_t i, protocol::bytes body, actions& out);
    outcome plan_parse(std::size_t i, protocol::bytes body, actions& out);
    outcome consider_parse(std::size_t i, const std::string& name, const bound_sql& sql, bool cut,
                           actions& out);
    outcome plan_bind(std::size_t i, protocol::bytes body, actions& out);
    outcome plan_execute(std::size_t i, protocol::bytes body, actions& out);
    outcome plan_call(std::size_t i, protocol::bytes body, actions& out);
    outcome consider(std::size_t i, const considered& c, actions& out);
    outcome hold_or_refuse(std::size_t i, const policy::decision& d, const considered& c,
                           actions& out);
    policy::facts_ptr facts_of(std::size_t i, std::string_view sql, actions& out);
    policy::facts_ptr with_names(const policy::facts_ptr& f);
    bool exempt_in_failed_transaction(const policy::facts& f);
    std::uint32_t stage_query_names(std::vector<policy::name_use> uses, text_ptr text,
                                    bool several);
    outcome settle(std::size_t i, std::string_view name, actions& out);
    [[nodiscard]] std::string over_limit(const std::vector<policy::name_use>& uses,
                                         std::size_t text_bytes) const;
    outcome wait_for_drain(actions& out);
    outcome after_what_precedes(std::size_t i, actions& out);
    void foresee(const planned& f);
    void hasten(actions& out);
    [[nodiscard]] effects effects_of(const policy::facts& f) const noexcept;
    // gate_decide.cpp
    void note_rules(std::size_t i, const policy::decision& d, const considered& c, actions& out);
    bool first_record_of(std::size_t i) noexcept;
    void count_as(planned& f, const policy::decision& d);
    void record_denial(const policy::decision& d, const considered& c, actions& out) const;
    [[nodiscard]] audit::record make_record(std::string event, const policy::decision& d,
                                            const policy::facts& f, const text_ptr& text,
                                            std::size_t frame) const;
    [[nodiscard]] policy::hold make_hold(const policy::decision& d, const considered& c) const;
    void request_records(actions& out);
    outcome refuse(std::size_t i, refusal why);
    outcome check_name(std::size_t i, const bound_sql* found, std::string_view name,
                       policy::facts_ptr& facts, actions& out);
    outcome ask_for_name(std::size_t i, std::string_view name, actions& out);
    [[nodiscard]] std::vector<policy::pass> releases_of(std::size_t i, const portal* target) const;
    portal* fetched_cursor(const policy::facts& f);
    [[nodiscard]] policy::grants usable_grants() const;
    /// What was let through for the transaction alone is not let through behind it.
    void leave_transaction(actions& out);
    bool pass_by_drain(std::size_t i, const considered& c, const policy::decide_options& options,
                       policy::instant now);
    bool take_recorded(std::size_t i, const considered& c, policy::instant now);
    void add_grant(granted g);
    [[nodiscard]] bool granted_already(const portal* target) const noexcept;
    void forget_region();

    // server side (gate_server.cpp)
    std::size_t pass_rows(protocol::bytes data, std::size_t from, char tag, actions& out);
    void on_reply(const protocol::reply_event& e, char tag, protocol::bytes frame, actions& out);
    void on_failed(const protocol::reply_event& e, protocol::bytes frame, actions& out);
    void on_ready(const protocol::reply_event& e, protocol::bytes frame, actions& out);
    void on_parameter(protocol::bytes body);
    void answered(std::uint32_t tag, bool well);
    void after_reply(actions& out);
    void relay(protocol::bytes data, actions& out);
    /// Something of our own, whole messages, behind what the server has said.
    void tell_client(std::string message, actions& out);

    // names by way of the catalog (gate_catalog.cpp)
    outcome follow(std::size_t i, policy::facts_ptr& facts, actions& out);
    [[nodiscard]] policy::catalog::session_names names_now() const;
    /// There are types in this database, or there may be, whose literals run code as soon as they
    /// are parsed.
    [[nodiscard]] bool parsing_may_run() const;
    /// Parsing this may, as far as the newest catalog tells.
    [[nodiscard]] bool runs_at_parse(const policy::facts_ptr& f) const;
    outcome ask_catalog(actions& out);
    [[nodiscard]] bool may_ask_path(std::size_t i) const noexcept;
    /// Before frame `i` a question of ours changes nothing.
    [[nodiscard]] bool may_ask(std::size_t i) const noexcept;
    outcome ask_path(actions& out);
    outcome ask_for_relation(std::size_t i, const considered& c, actions& out);
    void ask_server(std::string_view question, std::optional<std::string_view> parameter,
                    actions& out);
    bool answer_of_server(const protocol::reply_event& e, char tag, protocol::bytes frame,
                          actions& out);
    void question_answered(actions& out);
    void note_name_effects(const policy::facts& f);
    [[nodiscard]] static bool defines_names(const policy::statement_facts& s) noexcept;
    void names_after_transaction() noexcept;

    // what others made: cursors of functions, prepared transactions (gate_elsewhere.cpp)
    outcome ask_for_cursors(std::size_t i, const policy::facts& f, actions& out);
    void analyse_cursor(actions& out);
    void keep_cursor(policy::facts_ptr facts);
    [[nodiscard]] policy::facts_ptr cursor_of_server(std::string_view name) const;
    policy::facts_ptr with_prepared(const policy::facts_ptr& f);
    void note_prepared(const policy::facts& f);
    void prepared_reply(protocol::bytes frame);

    // the role that statements run as (gate_role.cpp)
    /// usual: the unapproved one, or whatever the client has set; raised: an opt-out's.
    enum class role : std::uint8_t { usual, full, raised, unknown };
    void note_role(const std::vector<policy::opt_out_id>& opt_outs);
    outcome fit_role(std::size_t frames, actions& out);
    std::optional<refusal> refuse_for_role(std::size_t frames, role wanted, std::size_t& at);
    outcome change_role(role wanted, actions& out);
    void role_answered(bool well, actions& out);
    void note_role_at_sync();
    void note_role_effects(const policy::facts& f);
    void note_refused_by_server(std::string_view sqlstate, std::string_view message, actions& out);

    // SHOW sallyport.… (gate_show.cpp)
    [[nodiscard]] console_result my_rules() const;
    [[nodiscard]] console_result my_status() const;
    outcome plan_show(std::size_t i, std::string_view sql, std::string_view statement,
                      const std::vector<std::uint32_t>& types, actions& out);

    // probing (gate_probe.cpp)
    enum class probing : std::uint8_t { grammar, all };
    [[nodiscard]] probing next_probing() const;
    outcome probe_syntax(std::size_t i, std::string_view sql, probing what, actions& out);
    bool probe_reply(const protocol::reply_event& e, char tag, protocol::bytes frame, actions& out);

    const gate_environment* env_;
    policy::subject subject_;
    gate_limits limits_;
    std::shared_ptr<const protocol::frame_limits> client_limits_;

    state state_ = state::open;
    protocol::reply_queue replies_;
    name_table names_;
    std::unique_ptr<statement_watch> watch_;  ///< null: nobody looks

    // client direction
    std::uint64_t client_rest_bytes_ = 0;  ///< of a body that is passed on (or dropped) as it comes
    bool drop_rest_ = false;
    bool skip_to_sync_ = false;  ///< a refusal was injected: the rest of the batch is void
    bool deferring_ = false;
    std::vector<planned> region_;
    std::vector<granted> grants_;
    std::vector<std::pair<std::size_t, policy::facts_ptr>> found_facts_;  ///< by analysis elsewhere
    std::vector<std::pair<std::size_t, policy::pass>> released_;          ///< approved, by frame
    std::optional<std::pair<std::size_t, refusal>> refused_;              ///< decided, by frame
    std::vector<std::pair<std::size_t, permit>> permits_;                 ///< recorded, by frame
    bool region_recorded_ = false;
    /// Of the executions of the region before the frame under decision.
    effects ahead_;
    std::vector<std::pair<std::uint32_t, std::size_t>> tickets_;  ///< records asked for → frame
    std::size_t record_error_frame_ = 0;
    std::uint32_t next_ticket_ = 1;
    std::string record_error_;
    /// Opt-outs that could not be used for this region (used up, ended since, or not recorded): it
    /// is decided again without them.
    std::vector<policy::opt_out_id> unusable_;
    std::size_t waiting_frame_ = 0;
    bool failed_throughout_ = false;  ///< so far in this region, the server refuses everything
    bool drain_flushed_ = false;      ///< the server was told to send what is waited for

    // the hold
    policy::hold_id hold_;
    policy::instant hold_until_{};
    std::string hold_rule_;
    std::optional<refusal> cancel_when_opened_;
    policy::approvers asked_who_;           ///< of what is asked for without waiting
    std::unique_ptr<policy::hold> notice_;  ///< what the notices speak of; without its statement
    std::uint64_t transactions_left_ = 0;

    // server direction
    std::uint64_t server_rest_bytes_ = 0;
    bool drop_server_rest_ = false;
    reply_buffer buffered_;
    std::string behind_message_;  ///< of our own, for when the message under way is whole
    bool unasked_ = false;        ///< the client has not asked for the reply under way
    bool saw_fatal_ = false;
    bool query_failed_ = false;  ///< the Query being answered has had an error
    policy::instant transaction_since_{};
    std::vector<std::pair<std::uint32_t, refusal>> refusals_;  ///< errors to write, by reply tag
    std::uint32_t next_refusal_ = 0x8000'0000u;

    // probing
    enum class probe : std::uint8_t {
        none,
        asked,
        ungrammatical,  ///< nothing can run when the server is asked for its error
        refused,
        accepted
    } probe_ = probe::none;
    bool probe_failed_ = false;
    probing probing_ = probing::all;
    std::optional<std::string> asked_name_;  ///< the server was asked whether it knows this name

    // names by way of the catalog
    policy::catalog::snapshot_ptr catalog_;  ///< the one that the session's names were seen in
    policy::catalog::own_objects own_;
    std::vector<std::string> path_;  ///< current_schemas(true), if known
    bool path_known_ = false;
    std::vector<std::string> temporary_;  ///< relations of its temporary schema, asked with path_
    bool temporary_known_ = false;
    bool path_touched_ = false;   ///< in this transaction: its end may take it back
    bool path_matters_ = false;   ///< to the frame under decision
    bool unknown_name_ = false;   ///< in the frame under decision
    bool runs_at_parse_ = false;  ///< the frame under decision, or it may
    /// Names of statements whose Parse is left to the decision on their Bind, so far in this plan.
    std::vector<std::string> left_to_bind_;
    bool decides_parses_ = false;      ///< in this region, since one of them goes without its Bind
    bool own_ddl_ = false;             ///< in this transaction
    bool retold_ = false;              ///< in this transaction, see code_effect::retells
    bool catalog_changed_ = false;     ///< by DDL of this session that was committed
    bool catalog_asked_ = false;       ///< for this region
    bool path_asked_ = false;          ///< for this region
    role role_ = role::usual;          ///< as of the last statement that was sent
    role asked_role_ = role::unknown;  ///< unknown: the question under way is another one
    bool role_changed_in_transaction_ = false;
    std::string raised_role_;      ///< the last that was raised to; "" = none yet
    std::string own_role_;         ///< the client's, before that
    std::string seen_role_;        ///< what the server answered
    std::string region_role_;      ///< of the opt-outs behind the region; "" = none has one
    bool region_roles_ok_ = true;  ///< they agree
    std::vector<std::pair<std::size_t, console_result>> shown_;  ///< of the console, by frame
    std::size_t logged_frames_ = 0;  ///< of the region, those that are in the log already
    std::size_t noted_frames_ = 0;   ///< likewise, with what observed rules or exceptions say
    bool region_granted_ = false;    ///< a pass or an opt-out stands behind something of the region
    static constexpr std::size_t answer_bytes_max = 256u << 10;  ///< a longer row is not read
    bool question_failed_ = false;
    bool asking_ = false;                      ///< an answer to ask_server() is under way
    std::optional<std::string> asked_cursor_;  ///< that or its analysis is about this cursor
    std::string cursor_text_;
    /// What the server said of cursors for this region; null: it knows none of that name.
    std::vector<std::pair<std::string, policy::facts_ptr>> cursors_;
    std::vector<std::string> preparing_;  ///< PREPARE TRANSACTION sent, not answered
    exceptions_used preparing_by_;
    exceptions_used in_transaction_by_;  ///< since it began

    // what is known of the session
    bool replication_ = false;
    bool strings_conform_ = true;
    bool strings_escaped_ = false;   ///< they did not, at some time: code may have been read then
    bool lexing_touched_ = false;    ///< something in flight may have changed how texts are read
    bool functions_called_ = false;  ///< in flight: they could have, too
    bool reading_varied_ = false;    ///< it was changed once: ends of transactions take it back
    bool encoding_safe_ = true;
    bool refuse_holds_ = false;
    std::string reason_;
    policy::facts_ptr last_facts_;
    std::vector<policy::opt_out_id> used_opt_outs_;
    std::vector<policy::pass> admissions_;
    std::vector<policy::opt_out_id> admitted_by_;
    std::vector<policy::opt_out> draining_;
};
[[nodiscard]] const char* to_string(gate::state s) noexcept;

}  // namespace sallyport::proxy::session
