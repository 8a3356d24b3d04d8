#include <string>

#include <gtest/gtest.h>

#include "proxy/config.h"
#include "tests/unit/net/certificates.h"

/// What sallyport.yaml says about channel binding, direct TLS and the methods of servers.
namespace sallyport::proxy {
namespace {

struct spoken {
    std::vector<std::string> faults;
    std::vector<std::string> warnings;
    settings_ptr config;
};

spoken load(const std::string& postgres, const std::string& shop) {
    const auto loaded = load_settings_text(
        "listen: { postgres: " + postgres +
            " }\nstate: { sqlite: s.db }\naudit: { directory: a, signing_key: k }\n"
            "users: u\npolicy: p\ntargets:\n  shop: " +
            shop + "\n",
        "c.yaml");
    spoken out;
    for (const auto& f : loaded.faults)
        out.faults.push_back(policy::to_string(f));
    for (const auto& w : loaded.warnings)
        out.warnings.push_back(policy::to_string(w));
    out.config = loaded.config;
    return out;
}

std::string shop_with(const std::string& more) {
    return "{ host: 127.0.0.1, login: { as: client }" + (more.empty() ? "" : ", " + more) + " }";
}

std::string only(const std::vector<std::string>& texts) {
    return texts.size() == 1 ? texts.front() : std::to_string(texts.size()) + " texts";
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(config_tls_test, defaults_prefer_channel_binding_and_take_every_method) {
    const auto c = load("{}", shop_with("")).config;
    ASSERT_TRUE(c);
    const auto& shop = c->targets.at("shop");

    EXPECT_EQ(c->postgres.channel_binding, auth::channel_binding::prefer);
    EXPECT_EQ(shop.channel_binding, auth::channel_binding::prefer);
    EXPECT_EQ(shop.tls.negotiation, net::tls_negotiation::postgres);
    EXPECT_TRUE(shop.require_auth.allows(auth::method::none));
    EXPECT_TRUE(shop.require_auth.allows(auth::method::scram_sha_256_plus));
}

TEST(config_tls_test, what_can_be_said_is_read) {
    const auto c = load("{ channel_binding: off }",
                        shop_with("tls: { mode: require, negotiation: direct }, "
                                  "channel_binding: require, require_auth: [scram-sha-256, md5]"))
                       .config;
    ASSERT_TRUE(c);
    const auto& shop = c->targets.at("shop");

    EXPECT_EQ(c->postgres.channel_binding, auth::channel_binding::off);
    EXPECT_EQ(shop.channel_binding, auth::channel_binding::require);
    EXPECT_EQ(shop.tls.negotiation, net::tls_negotiation::direct);
    EXPECT_TRUE(shop.require_auth.allows(auth::method::md5));
    EXPECT_FALSE(shop.require_auth.allows(auth::method::none));
    EXPECT_FALSE(shop.require_auth.allows(auth::method::password));
}

TEST(config_tls_test, contradictions_are_faults_with_their_place) {
    EXPECT_TRUE(has(only(load("{ channel_binding: require }", shop_with("")).faults),
                    "c.yaml:1:40: 'channel_binding: require' binds to TLS"));
    EXPECT_TRUE(has(only(load("{ channel_binding: always }", shop_with("")).faults), "prefer"));
    for (const char* mode : {"disable", "prefer"})
        EXPECT_TRUE(has(only(load("{}", shop_with(std::string("tls: { mode: ") + mode +
                                                  ", negotiation: direct }"))
                                 .faults),
                        "begins with TLS"))
            << mode;
    EXPECT_TRUE(
        has(only(load("{}", shop_with("channel_binding: require, tls: { mode: disable }")).faults),
            "disabled for this target"));
    EXPECT_TRUE(
        has(only(load("{}", shop_with("channel_binding: require, require_auth: [md5]")).faults),
            "leaves scram-sha-256-plus alone"));
    EXPECT_TRUE(has(
        only(
            load("{}", shop_with("channel_binding: off, require_auth: scram-sha-256-plus")).faults),
        "leave nothing"));
    EXPECT_TRUE(has(only(load("{}", shop_with("require_auth: []")).faults), "is empty"));
    EXPECT_TRUE(
        has(only(load("{}", shop_with("require_auth: [scram-sha256]")).faults), "did you mean"));
}

class certificate_kind : public ::testing::Test {
  protected:
    [[nodiscard]] std::string listener(const std::string& key_type, const std::string& more,
                                       const std::string& mode = "require") const {
        net::testing::certificate_options o;
        o.key_type = key_type;
        files_.self_sign("server", o);
        return "{ tls: { mode: " + mode + ", certificate: " + files_.certificate("server") +
               ", key: " + files_.key("server") +
               (mode == "mutual" ? ", client_ca: " + files_.ca() : "") + " }" + more + " }";
    }
    net::testing::certificate_folder files_;
};

TEST_F(certificate_kind, that_nothing_can_be_bound_to_is_a_warning) {
    const auto warned = load(listener("ED25519", ""), shop_with(""));

    EXPECT_TRUE(warned.config);
    EXPECT_TRUE(has(only(warned.warnings), "has no hash that SCRAM-SHA-256-PLUS could bind to"));
}

TEST_F(certificate_kind, that_nothing_can_be_bound_to_is_a_fault_where_binding_is_required) {
    EXPECT_TRUE(
        has(only(load(listener("ED25519", ", channel_binding: require"), shop_with("")).faults),
            "signed with RSA or ECDSA"));
}

TEST_F(certificate_kind, does_not_matter_where_nothing_is_bound) {
    EXPECT_TRUE(
        load(listener("ED25519", ", channel_binding: off"), shop_with("")).warnings.empty());
    EXPECT_TRUE(load(listener("ED25519", "", "mutual"), shop_with("")).warnings.empty());
}

TEST_F(certificate_kind, with_a_hash_is_fine) {
    for (const char* type : {"EC", "RSA", "RSA-PSS"}) {
        const auto fine = load(listener(type, ", channel_binding: require"), shop_with(""));
        EXPECT_TRUE(fine.faults.empty()) << type << ": " << only(fine.faults);
        EXPECT_TRUE(fine.warnings.empty()) << type << ": " << only(fine.warnings);
    }
}

TEST_F(certificate_kind, mode_mutual_has_no_password_to_bind) {
    EXPECT_TRUE(has(
        only(load(listener("EC", ", channel_binding: require", "mutual"), shop_with("")).faults),
        "mode mutual asks for none"));
}

}  // namespace
}  // namespace sallyport::proxy
