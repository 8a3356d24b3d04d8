#include "proxy/auth/authenticator.h"

#include <utility>

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/sasl.h"
#include "protocol/sqlstate.h"

namespace sallyport::proxy::auth {
namespace {

namespace backend = protocol::backend;
namespace frontend = protocol::frontend;
namespace sqlstate = protocol::sqlstate;

constexpr const char* scram_method = "scram-sha-256";
constexpr const char* scram_plus_method = "scram-sha-256-plus";
constexpr const char* certificate_method = "certificate";

std::string frame(const backend::authentication& message) {
    std::string out;
    message.encode(out);
    return out;
}

}  // namespace

authenticator::authenticator(user_directory_ptr users, std::string mock_secret,
                             login_request request)
    : users_(std::move(users)),
      mock_secret_(std::move(mock_secret)),
      request_(std::move(request)) {}

login_step authenticator::start() {
    if (std::exchange(state_, state::over) != state::fresh) return violation("started twice");
    if (request_.certificate_required) return start_certificate();
    if (request_.binding_required && request_.end_point.empty())
        return unbound("this port requires SCRAM channel binding, which needs TLS");

    const auto* found = users_->find(request_.user);
    if (found == nullptr)
        doom_ = "unknown user";
    else if (!found->scram)
        doom_ = "user has no password";
    else if (!found->valid_at(request_.now))
        doom_ = "expired user";
    else
        user_ = found;
    // A user that exists but may not log in shows the salt it would show if it did: a stranger must
    // not see a difference, and the real salt of an expired user does not change when the user
    // expires.
    // Both verifiers are always made, so that the time does not tell either.
    auto verifier = mock_verifier(mock_secret_, request_.user, users_->usual_iterations());
    if (found != nullptr && found->scram) verifier = *found->scram;
    scram_.emplace(std::move(verifier),
                   user_ != nullptr ? scram_server::fate::honest : scram_server::fate::doomed);
    state_ = state::initial;
    login_step out;
    out.what = login_step::kind::send;
    out.method = scram_method;
    backend::authentication_sasl offer;
    if (!request_.end_point.empty())
        offer.mechanisms.emplace_back(protocol::sasl::scram_sha_256_plus);
    if (!request_.binding_required) offer.mechanisms.emplace_back(protocol::sasl::scram_sha_256);
    out.bytes = frame({offer});
    return out;
}

bool authenticator::choose(std::string_view mechanism) {
    const bool offered = !request_.end_point.empty();
    bound_ = mechanism == protocol::sasl::scram_sha_256_plus;
    if (bound_) {
        if (offered) scram_->set_binding(scram_binding::used, request_.end_point);
        return offered;
    }
    if (mechanism != protocol::sasl::scram_sha_256 || request_.binding_required) return false;
    scram_->set_binding(offered ? scram_binding::declined : scram_binding::absent);
    return true;
}

login_step authenticator::start_certificate() {
    if (!request_.certificate || !request_.certificate->verified ||
        request_.certificate->subject.empty())
        return refuse("no verified certificate");
    const auto* found = users_->find_certificate(request_.certificate->subject);
    if (found == nullptr) return refuse("no user for certificate " + request_.certificate->subject);
    if (found->principal.name != request_.user)
        return refuse("certificate of user " + found->principal.name);
    if (!found->valid_at(request_.now)) return refuse("expired user");
    user_ = found;
    return accept({}, certificate_method);
}

login_step authenticator::step(std::string_view body) {
    const auto now = std::exchange(state_, state::over);
    if (now == state::response) {
        const auto message = frontend::sasl_response::decode(body);
        if (!message) return violation("malformed SASL response");
        return advance(message->data);
    }
    if (now != state::initial) return violation("unexpected password message");

    const auto message = frontend::sasl_initial_response::decode(body);
    if (!message) return violation("malformed SASL response");
    if (!choose(message->mechanism))
        return violation("client selected an invalid SASL authentication mechanism");
    if (!message->data) {
        // Without an initial response the server asks for it with an empty challenge.
        state_ = state::response;
        login_step out;
        out.what = login_step::kind::send;
        out.method = scram_method;
        out.bytes = frame({backend::authentication_sasl_continue{{}}});
        return out;
    }
    return advance(*message->data);
}

login_step authenticator::advance(std::string_view sasl_data) {
    auto s = scram_->step(sasl_data);
    login_step out;
    out.method = scram_method;
    switch (s.status) {
        case scram_status::send:
            state_ = state::response;
            out.what = login_step::kind::send;
            out.bytes = frame({backend::authentication_sasl_continue{s.data}});
            return out;
        case scram_status::done:
            return accept(frame({backend::authentication_sasl_final{s.data}}),
                          bound_ ? scram_plus_method : scram_method);
        case scram_status::failed:
            return refuse(doom_.empty() ? s.cause : doom_);
        case scram_status::unbound:
            return unbound(s.cause);
        case scram_status::malformed:
            break;
    }
    return violation("malformed SCRAM message: " + s.cause);
}

login_step authenticator::accept(std::string bytes, std::string method) {
    login_step out;
    out.what = login_step::kind::accepted;
    out.bytes = std::move(bytes);
    out.bytes += frame({backend::authentication_ok{}});
    out.principal = user_->principal;
    out.method = std::move(method);
    return out;
}

login_step authenticator::refuse(std::string reason) {
    login_step out;
    out.what = login_step::kind::refused;
    out.reason = std::move(reason);
    if (request_.certificate_required) {
        out.method = certificate_method;
        out.sqlstate = sqlstate::invalid_authorization;
        out.message = "certificate authentication failed for user \"" + request_.user + "\"";
    } else {
        out.method = scram_method;
        out.sqlstate = sqlstate::invalid_password;
        out.message = "password authentication failed for user \"" + request_.user + "\"";
    }
    return out;
}

login_step authenticator::unbound(std::string what) {
    login_step out;
    out.what = login_step::kind::refused;
    out.method = bound_ ? scram_plus_method : scram_method;
    out.sqlstate = sqlstate::invalid_authorization;
    out.reason = what;
    out.message = std::move(what);
    return out;
}

login_step authenticator::violation(std::string what) {
    login_step out;
    out.what = login_step::kind::refused;
    out.method = request_.certificate_required ? certificate_method : scram_method;
    out.sqlstate = sqlstate::protocol_violation;
    out.reason = what;
    out.message = std::move(what);
    return out;
}

std::optional<policy::principal> check_password(const user_directory& users,
                                                std::string_view mock_secret, std::string_view user,
                                                std::string_view password, policy::instant now,
                                                std::string& reason) {
    const auto* found = users.find(user);
    const bool has_password = found != nullptr && found->scram;
    const bool right = verify_password(
        has_password ? *found->scram : mock_verifier(mock_secret, user, users.usual_iterations()),
        password);
    if (found == nullptr)
        reason = "unknown user";
    else if (!has_password)
        reason = "user has no password";
    else if (!right)
        reason = "wrong password";
    else if (!found->valid_at(now))
        reason = "expired user";
    else
        return found->principal;
    return std::nullopt;
}

}  // namespace sallyport::proxy::auth
