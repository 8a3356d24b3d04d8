#include "proxy/auth/scram.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "protocol/sasl.h"
#include "proxy/auth/saslprep.h"

namespace sallyport::proxy::auth {
namespace {

namespace sasl = protocol::sasl;

constexpr std::string_view verifier_prefix = "SCRAM-SHA-256$";
constexpr std::size_t salt_bytes_max = 256;
constexpr std::size_t cached_keys_max = 8;
constexpr std::uint32_t cheap_iterations_max = 10'000;

// Secrets that are not strings: wiped when they leave scope, whichever way.
struct wiped_key {
    scram_key bytes{};
    wiped_key() = default;
    explicit wiped_key(const scram_key& k) : bytes(k) {}
    wiped_key(const wiped_key&) = delete;
    wiped_key& operator=(const wiped_key&) = delete;
    ~wiped_key() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

const unsigned char* raw(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string_view view(const scram_key& k) noexcept {
    return {reinterpret_cast<const char*>(k.data()), k.size()};
}

void hmac(std::string_view key, std::string_view text, scram_key& out) {
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(text), text.size(),
             out.data(), &size) == nullptr ||
        size != out.size())
        throw std::runtime_error("HMAC-SHA-256 failed in OpenSSL");
}

void sha256(const scram_key& in, scram_key& out) {
    SHA256(in.data(), in.size(), out.data());
}

void salted_password(std::string_view password, std::string_view salt, std::uint32_t iterations,
                     scram_key& out) {
    if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), raw(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                          static_cast<int>(out.size()), out.data()) != 1)
        throw std::runtime_error("PBKDF2 failed in OpenSSL");
}

scram_key_cache::keys derive(std::string_view password, std::string_view salt,
                             std::uint32_t iterations) {
    wiped_key salted;
    salted_password(prepare_password(password).view(), salt, iterations, salted.bytes);
    scram_key_cache::keys k;
    hmac(view(salted.bytes), "Client Key", k.client_key);
    hmac(view(salted.bytes), "Server Key", k.server_key);
    return k;
}

void exclusive_or(scram_key& into, const scram_key& other) noexcept {
    for (std::size_t i = 0; i < into.size(); ++i)
        into[i] = static_cast<std::uint8_t>(into[i] ^ other[i]);
}

bool equal(const scram_key& a, const scram_key& b) noexcept {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// False unless `text` has exactly a key's size.
bool to_key(std::string_view text, scram_key& out) noexcept {
    if (text.size() != out.size()) return false;
    std::copy(text.begin(), text.end(), out.begin());
    return true;
}

std::string_view take_until(std::string_view& rest, char border) noexcept {
    const auto at = rest.find(border);
    if (at == std::string_view::npos) return {};
    const auto part = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    return part;
}

std::string auth_message(std::string_view first_bare, std::string_view server_first,
                         std::string_view without_proof) {
    std::string all;
    all.reserve(first_bare.size() + server_first.size() + without_proof.size() + 2);
    all += first_bare;
    all += ',';
    all += server_first;
    all += ',';
    all += without_proof;
    return all;
}

}  // namespace

void random_bytes(std::span<std::byte> out) {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) != 1)
        throw std::runtime_error("no random numbers from OpenSSL; cannot go on safely");
}

std::string random_nonce() {
    std::array<std::byte, 18> bytes{};
    random_bytes(bytes);
    return sasl::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Verifiers ---------------------------------------------------------------------------------------

std::optional<scram_verifier> parse_verifier(std::string_view text) {
    if (!text.starts_with(verifier_prefix) || text.size() > 1024) return std::nullopt;
    text.remove_prefix(verifier_prefix.size());
    scram_verifier v;
    const auto count = take_until(text, ':');
    const auto [end, ec] = std::from_chars(count.data(), count.data() + count.size(), v.iterations);
    if (ec != std::errc{} || end != count.data() + count.size() || count.empty() ||
        v.iterations == 0 || v.iterations > scram_iterations_max)
        return std::nullopt;
    const auto salt = sasl::base64_decode(take_until(text, '$'));
    const auto stored = sasl::base64_decode(take_until(text, ':'));
    const auto server = sasl::base64_decode(text);
    if (!salt || salt->empty() || salt->size() > salt_bytes_max || !stored || !server ||
        !to_key(*stored, v.stored_key) || !to_key(*server, v.server_key))
        return std::nullopt;
    v.salt = *salt;
    return v;
}

std::string format_verifier(const scram_verifier& v) {
    std::string text(verifier_prefix);
    text += std::to_string(v.iterations);
    text += ':';
    text += sasl::base64_encode(v.salt);
    text += '$';
    text += sasl::base64_encode(view(v.stored_key));
    text += ':';
    text += sasl::base64_encode(view(v.server_key));
    return text;
}

scram_verifier make_verifier(std::string_view password, std::uint32_t iterations,
                             std::string salt) {
    if (salt.empty()) {
        std::array<std::byte, scram_salt_bytes> bytes{};
        random_bytes(bytes);
        salt.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    auto k = derive(password, salt, iterations);
    const wiped_key client(k.client_key);
    OPENSSL_cleanse(k.client_key.data(), k.client_key.size());
    scram_verifier v;
    v.iterations = iterations;
    v.salt = std::move(salt);
    sha256(client.bytes, v.stored_key);
    v.server_key = k.server_key;
    return v;
}

bool verify_password(const scram_verifier& v, std::string_view password) {
    if (password.empty() || password.size() > password_bytes_max ||
        password.find('\0') != std::string_view::npos)
        return false;
    const auto made = make_verifier(password, v.iterations, v.salt);
    return equal(made.stored_key, v.stored_key);
}

scram_verifier mock_verifier(std::string_view mock_secret, std::string_view user,
                             std::uint32_t iterations) {
    scram_verifier v;
    v.iterations = iterations;
    scram_key digest{};
    hmac(mock_secret, user, digest);
    v.salt.assign(reinterpret_cast<const char*>(digest.data()), scram_salt_bytes);
    // Nobody knows a preimage of random bytes. The doomed exchange does not depend on it.
    random_bytes(std::as_writable_bytes(std::span(v.stored_key)));
    random_bytes(std::as_writable_bytes(std::span(v.server_key)));
    return v;
}

std::string md5_response(std::string_view password, std::string_view user,
                         std::span<const std::uint8_t, 4> salt) {
    const auto hex_of_md5 = [](std::string_view text) -> std::string {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_md5(), nullptr) != 1)
            return {};
        static constexpr char digits[] = "0123456789abcdef";
        std::string hex;
        for (unsigned i = 0; i < size; ++i) {
            hex += digits[digest[i] >> 4];
            hex += digits[digest[i] & 15];
        }
        return hex;
    };
    std::string first;
    first.reserve(password.size() + user.size());  // no reallocation leaves a copy behind
    first += password;
    first += user;
    std::string inner = hex_of_md5(first);
    wipe(first);
    if (inner.empty()) return {};
    inner.reserve(inner.size() + salt.size());
    for (const auto byte : salt)
        inner += static_cast<char>(byte);
    auto answer = hex_of_md5(inner);
    wipe(inner);  // the stored hash is as good as the password
    return answer.empty() ? answer : "md5" + answer;
}

// Server ------------------------------------------------------------------------------------------

scram_server::scram_server(scram_verifier verifier, fate f)
    : scram_server(std::move(verifier), f, random_nonce()) {}

scram_server::scram_server(scram_verifier verifier, fate f, std::string nonce)
    : verifier_(std::move(verifier)), fate_(f), nonce_(std::move(nonce)) {}

scram_server::~scram_server() {
    OPENSSL_cleanse(verifier_.stored_key.data(), verifier_.stored_key.size());
    OPENSSL_cleanse(verifier_.server_key.data(), verifier_.server_key.size());
}

void scram_server::set_binding(scram_binding b, std::string end_point) {
    binding_ = b;
    end_point_ = std::move(end_point);
}

scram_step scram_server::step(std::string_view data) {
    const auto now = state_;
    state_ = state::over;  // until proven otherwise: a failed exchange cannot be continued
    switch (now) {
        case state::client_first:
            return first(data);
        case state::client_final:
            return final(data);
        case state::over:
            break;
    }
    return {scram_status::malformed, {}, "a message after the exchange had ended"};
}

scram_step scram_server::first(std::string_view data) {
    const auto message = sasl::client_first::parse(data);
    if (!message) return {scram_status::malformed, {}, message.error().message()};
    const auto flag = message->channel_binding;
    if (flag == sasl::binding::used && binding_ != scram_binding::used)
        return {scram_status::malformed,
                {},
                "it binds to the channel, but the mechanism is the one without binding"};
    if (flag != sasl::binding::used && binding_ == scram_binding::used)
        return {scram_status::malformed,
                {},
                "it does not bind to the channel, but the mechanism is the one with binding"};
    // A client that can bind and saw no PLUS: somebody took it off the list on the way.
    if (flag == sasl::binding::unadvertised && binding_ == scram_binding::declined)
        return {scram_status::unbound, {}, "SCRAM channel binding negotiation error"};
    bound_ = message->gs2_header;
    if (binding_ == scram_binding::used) bound_ += end_point_;
    client_first_bare_ = message->bare;
    nonce_.insert(0, message->nonce);
    server_first_ = sasl::format_server_first(nonce_, verifier_.salt, verifier_.iterations);
    state_ = state::client_final;
    return {scram_status::send, server_first_, {}};
}

scram_step scram_server::final(std::string_view data) {
    const auto message = sasl::client_final::parse(data);
    if (!message) return {scram_status::malformed, {}, message.error().message()};
    if (!equal_constant_time(message->channel_binding, bound_)) {
        if (binding_ == scram_binding::used)
            return {scram_status::unbound, {}, "SCRAM channel binding check failed"};
        return {scram_status::malformed, {}, "the channel binding differs from the first message"};
    }
    if (!equal_constant_time(message->nonce, nonce_))
        return {scram_status::malformed, {}, "the nonce differs from ours"};
    const auto text = auth_message(client_first_bare_, server_first_, message->without_proof);

    // ClientKey = proof XOR HMAC(StoredKey, AuthMessage); the password is right if its hash is
    // ours.
    wiped_key client;
    scram_key signature{};
    hmac(view(verifier_.stored_key), text, signature);
    const bool sized = to_key(message->proof, client.bytes);
    exclusive_or(client.bytes, signature);
    scram_key digest{};
    sha256(client.bytes, digest);
    scram_key ours{};
    hmac(view(verifier_.server_key), text, ours);
    // All of the above is done for a doomed exchange too, and both flags are looked at together.
    const bool proven = equal(digest, verifier_.stored_key);
    if (!(static_cast<int>(proven) & static_cast<int>(sized) &
          static_cast<int>(fate_ == fate::honest)))
        return {scram_status::failed, {}, "wrong password"};
    return {scram_status::done, sasl::format_server_final(view(ours)), {}};
}

// Client ------------------------------------------------------------------------------------------

scram_key_cache::~scram_key_cache() {
    for (auto& [salt, k] : known_)
        OPENSSL_cleanse(&k, sizeof k);
}

std::optional<scram_key_cache::keys> scram_key_cache::find(const std::string& salt,
                                                           std::uint32_t iterations) const {
    const std::lock_guard lock(mutex_);
    const auto it = known_.find({salt, iterations});
    if (it == known_.end()) return std::nullopt;
    return it->second;
}

void scram_key_cache::add(const std::string& salt, std::uint32_t iterations, const keys& k) {
    const std::lock_guard lock(mutex_);
    // An upstream that shows another salt each time must not fill the memory.
    if (known_.size() >= cached_keys_max) {
        OPENSSL_cleanse(&known_.begin()->second, sizeof(keys));
        known_.erase(known_.begin());
    }
    known_.insert_or_assign({salt, iterations}, k);
}

scram_client::scram_client(secret password, std::shared_ptr<scram_key_cache> cache)
    : password_(std::move(password)), cache_(std::move(cache)), nonce_(random_nonce()) {}

scram_client::scram_client(secret password, std::string nonce, std::string user)
    : password_(std::move(password)), nonce_(std::move(nonce)), user_(std::move(user)) {}

scram_client::~scram_client() {
    OPENSSL_cleanse(server_signature_.data(), server_signature_.size());
}

void scram_client::set_binding(sasl::binding b, std::string end_point) {
    gs2_header_ = b == sasl::binding::used           ? "p=tls-server-end-point,,"
                  : b == sasl::binding::unadvertised ? "y,,"
                                                     : "n,,";
    end_point_ = b == sasl::binding::used ? std::move(end_point) : std::string();
}

std::string scram_client::first() {
    client_first_bare_ = sasl::format_client_first_bare(user_, nonce_);
    state_ = state::first_sent;
    return gs2_header_ + client_first_bare_;
}

bool scram_client::cheap(std::string_view server_first) const {
    const auto message = sasl::server_first::parse(server_first);
    if (!message) return true;  // it will be refused without any work
    return message->iterations <= cheap_iterations_max ||
           message->iterations > scram_iterations_max ||
           (cache_ && cache_->find(message->salt, message->iterations));
}

scram_step scram_client::server_first(std::string_view data) {
    if (std::exchange(state_, state::over) != state::first_sent)
        return {scram_status::malformed, {}, "server-first out of turn"};
    const auto message = sasl::server_first::parse(data);
    if (!message) return {scram_status::malformed, {}, message.error().message()};
    if (!message->nonce.starts_with(nonce_) || message->nonce.size() == nonce_.size())
        return {scram_status::malformed, {}, "the server's nonce does not continue ours"};
    if (message->iterations > scram_iterations_max)
        return {scram_status::malformed,
                {},
                "the server asks for " + std::to_string(message->iterations) +
                    " iterations, more than " + std::to_string(scram_iterations_max)};

    auto known = cache_ ? cache_->find(message->salt, message->iterations) : std::nullopt;
    auto k = known ? *known : derive(password_.view(), message->salt, message->iterations);
    if (cache_ && !known) cache_->add(message->salt, message->iterations, k);

    const auto without_proof =
        sasl::format_client_final_without_proof(gs2_header_ + end_point_, message->nonce);
    const auto text = auth_message(client_first_bare_, data, without_proof);
    scram_key stored{};
    sha256(k.client_key, stored);
    scram_key proof{};
    hmac(view(stored), text, proof);
    exclusive_or(proof, k.client_key);
    hmac(view(k.server_key), text, server_signature_);
    OPENSSL_cleanse(&k, sizeof k);
    if (known) OPENSSL_cleanse(&*known, sizeof *known);
    state_ = state::final_sent;
    return {scram_status::send, sasl::format_client_final(without_proof, view(proof)), {}};
}

scram_step scram_client::server_final(std::string_view data) {
    if (std::exchange(state_, state::over) != state::final_sent)
        return {scram_status::malformed, {}, "server-final out of turn"};
    const auto message = sasl::server_final::parse(data);
    if (!message) return {scram_status::malformed, {}, message.error().message()};
    if (!message->error.empty())
        return {scram_status::failed, {}, "the server refused the password"};
    if (!equal_constant_time(message->signature, view(server_signature_)))
        return {scram_status::failed, {}, "the server does not know the password: wrong signature"};
    state_ = state::verified;
    return {scram_status::done, {}, {}};
}

}  // namespace sallyport::proxy::auth
