#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "proxy/auth/authenticator.h"
#include "proxy/net/limiter.h"
#include "proxy/session/gate.h"
#include "proxy/session/parameters.h"
#include "proxy/session/upstream.h"
#include "proxy/session/worker_impl.h"

namespace sallyport::proxy::session {

/// One client connection, from accept to the end, and its one upstream.
///
/// A coroutine takes it through TLS, login, the decision on the session and the upstream's login
/// (login.cpp); then two pumps move bytes through the gate (session.cpp), each stopped by what it
/// cannot write. This class is the only interpreter of the gate's actions.
/// Lifecycle: owned by its worker's table and by what is pending for it; everything runs on its
/// worker. end() is the one way out.
class session : public std::enable_shared_from_this<session> {
  public:
    session(worker::impl& home, net::tcp::socket socket, net::connection_limiter::ticket ticket);
    ~session();

    void start();
    /// Once per tick: deadlines, reminders, clients that left without a word.
    void tick(policy::instant now);
    void cancel_requested(std::function<void()> done);
    void kill(const std::string& by, const std::string& reason);
    void opt_out_ended(const approval::steward::ended_event& e);
    /// What this session passes by ends soon: its client is told, between two replies.
    void end_nears(const approval::steward::nearing_event& e);
    /// Rules or users have changed; decides on the session again.
    void reconsider() { reconsider(attempt::first); }
    /// A lock was set; it ends the sessions that it means, or that its rule would hold.
    void locked(const policy::flag& f);
    void drain();
    void shut_down();

    [[nodiscard]] session_info info() const;
    [[nodiscard]] policy::session_id id() const noexcept { return id_; }

  private:
    enum class phase : std::uint8_t { login, held, connecting, running, console, ending, over };
    using clock_point = std::chrono::steady_clock::time_point;

    // login_tls.cpp
    boost::asio::awaitable<bool> accept_direct_tls();
    static refusal repeated_request(std::uint32_t code);

    // login.cpp
    boost::asio::awaitable<void> run_login();
    boost::asio::awaitable<std::optional<protocol::startup_message>> negotiate();
    boost::asio::awaitable<bool> answer_ssl_request();
    boost::asio::awaitable<void> answer_cancel(protocol::cancel_request request);
    boost::asio::awaitable<std::string> read_startup_packet();
    boost::asio::awaitable<std::optional<policy::principal>> authenticate(
        const protocol::startup_message& m);
    [[nodiscard]] upstream_request upstream_login_for(const target_settings& t) const;
    const target_settings* find_target(const protocol::startup_message& m);
    boost::asio::awaitable<bool> connect(const target_settings& t);
    boost::asio::awaitable<void> send(std::string bytes);
    void refuse(const refusal& why, const std::string& reason);
    void record_login(bool accepted, const std::string& reason);
    [[nodiscard]] std::uint32_t own_number() const noexcept;
    void send_key(std::uint32_t number, std::string& out);
    audit::record session_record(std::string event) const;
    void begin_pumps(const upstream_login& login);
    [[nodiscard]] telemetry::session_identity identity() const;

    // admit.cpp
    boost::asio::awaitable<bool> admit();
    boost::asio::awaitable<bool> admit_as(const policy::facts* what);
    bool look_up_again();
    bool still_admitted();
    void note_rules(const policy::decision& d, const policy::rule_set& rules);
    boost::asio::awaitable<bool> hold_session(const policy::decision& d);
    boost::asio::awaitable<bool> ask_session(const policy::decision& d);
    boost::asio::awaitable<bool> present_hold();
    using answer_slot = std::shared_ptr<std::optional<approval::steward::asked>>;
    approval::steward::on_asked fill(answer_slot slot);
    boost::asio::awaitable<std::optional<approval::steward::asked>> answer_in(answer_slot slot);
    [[nodiscard]] policy::hold make_session_hold(const policy::decision& d) const;
    enum class admission : std::uint8_t { recorded, refused, opt_out_is_over };
    boost::asio::awaitable<admission> record_admission(const policy::decision& d);
    void read_while_held();

    // console_session.cpp
    boost::asio::awaitable<void> run_console();
    boost::asio::awaitable<console_result> console_execute(std::string statement);

    // session.cpp: the pumps
    void arm_client_read();
    void arm_server_read();
    void client_readable();
    void server_readable();
    bool read_server();
    void client_writable();
    void server_writable();
    void client_ended();
    void server_ended(const std::string& why);
    void pump_client(gate::patience p);
    void feed_client(protocol::bytes fresh);
    void interpret();
    void interpret_hold(action& a);
    void interpret_ask(action& a);
    void interpret_question(action& a);
    void interpret_record(action& a);
    void write_client(protocol::bytes bytes);
    void write_server(protocol::bytes bytes);
    bool terminate_waits() const;
    bool answered() const;
    void pass_on_the_end();
    void send_upstream_cancel(std::function<void()> done);
    /// Makes the server stop what it does for this session, and all that was sent behind it.
    void stop_upstream();
    void probe_client();
    void write_notices();
    [[nodiscard]] bool shut_by_lock_on_rule() const;
    enum class attempt : std::uint8_t { first, second };
    void reconsider(attempt which);
    void take_up_opt_outs(const policy::decision& d, attempt which);
    /// Tells the client why (if `fatal` is not empty), then closes both sides.
    void end(const std::string& reason, const std::string& fatal_frame_bytes);
    void leave_server();
    void linger();
    void finish();

    worker::impl& home_;
    policy::session_id id_;
    net::stream client_;
    std::unique_ptr<net::stream> server_;
    net::connection_limiter::ticket ticket_;
    configuration_ptr configuration_;  // of its birth: TLS, users, targets
    phase phase_ = phase::login;
    clock_point login_deadline_;
    clock_point next_reminder_{};
    clock_point end_deadline_{};
    policy::instant started_at_;

    policy::subject subject_;
    startup_settings settings_;
    std::unique_ptr<gate> gate_;
    std::vector<policy::pass> admissions_;
    std::vector<policy::opt_out_id> admitted_by_;
    std::uint64_t admitted_under_ = 0;  // worker::impl::seen_configuration

    std::string client_in_;   // read, not consumed by the gate
    std::string client_out_;  // owed to the client
    std::string notices_;     // for the client, when nothing else is under way to it
    std::string server_in_;
    std::string server_out_;
    bool client_reading_ = false;
    bool server_reading_ = false;
    bool client_writing_ = false;
    bool server_writing_ = false;
    bool client_eof_ = false;
    bool nothing_more_ = false;  // the server knows that nothing follows
    bool killed_ = false;        // what runs must stop whether it likes or not
    bool cancelling_ = false;    // an upstream cancel is under way: nothing new goes upstream
    bool pumping_ = false;       // client_in_ is being read: not from inside itself
    bool recorded_start_ = false;

    // the hold at session start
    std::optional<net::asio::steady_timer> waker_;
    std::optional<approval::hold_outcome> outcome_;
    policy::hold_id session_hold_;
    policy::instant session_hold_until_{};
    std::string session_hold_rule_;
    bool opened_ = false;
    std::string open_error_;
    bool waiting_answer_ = false;
    bool asked_catalog_ = false;  // waited for a look at it, once at least

    std::uint32_t protocol_version_ = protocol::protocol_3_0;  // spoken with the client
    std::uint32_t key_number_ = 0;
    net::tcp::endpoint server_endpoint_;
    bool server_tls_ = false;
    std::uint32_t server_pid_ = 0;
    std::string server_key_;
    std::string target_name_;
    std::string end_reason_;
    std::string probe_frame_;  // a ParameterStatus that the client has had already
    clock_point drain_deadline_{};
    std::uint64_t drain_from_ = 0;  ///< gate::transactions_left() when it began
};

}  // namespace sallyport::proxy::session
