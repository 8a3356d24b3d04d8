#include "proxy/store/tokens.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "proxy/store/store.h"

namespace sallyport::proxy::store {
namespace {

const policy::instant t0{policy::milliseconds(1'772'357'400'000)};
const auto hour = std::chrono::hours(1);

class stored_tokens : public ::testing::Test {
  protected:
    stored_tokens() {
        std::string name = (std::filesystem::temp_directory_path() / "tokens.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
        s = open_sqlite(directory + "/state.db");
    }
    ~stored_tokens() override {
        s.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    stored_tokens(const stored_tokens&) = delete;
    stored_tokens& operator=(const stored_tokens&) = delete;

    static api_token one(char digit = 'a') {
        api_token t;
        t.owner = "alice";
        t.made_by = "alice";
        t.name = "nightly job";
        t.scopes = {"see-holds", "vote-hold"};
        t.secret_sha256 = std::string(64, digit);
        t.made_at = t0;
        t.expires_at = t0 + 24 * hour;
        return t;
    }
    /// As somebody with a shell on the file; "" or the error.
    std::string raw(const std::string& sql) const {
        sqlite3* db = nullptr;
        sqlite3_open((directory + "/state.db").c_str(), &db);
        char* error = nullptr;
        sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
        std::string text = error ? error : "";
        sqlite3_free(error);
        sqlite3_close(db);
        return text;
    }

    std::string directory;
    std::unique_ptr<store> s;
};

TEST_F(stored_tokens, token_comes_back_as_it_was_after_a_restart_until_it_expires) {
    const auto id = s->tokens()->add_token(one());
    s->tokens()->note_token_uses({{id, t0 + hour}, {id, t0}});
    s.reset();
    s = open_sqlite(directory + "/state.db");

    const auto all = s->tokens()->list_tokens(t0);

    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].id, id);
    EXPECT_EQ(all[0].scopes, one().scopes);
    EXPECT_EQ(all[0].secret_sha256, one().secret_sha256);
    EXPECT_EQ(all[0].used_at, t0 + hour);
    EXPECT_TRUE(s->tokens()->list_tokens(t0 + 24 * hour).empty());
}

TEST_F(stored_tokens, revoked_once_and_for_good) {
    const auto id = s->tokens()->add_token(one());

    EXPECT_TRUE(s->tokens()->revoke_token(id, "root", t0 + hour));
    EXPECT_FALSE(s->tokens()->revoke_token(id, "alice", t0 + 2 * hour));
    s->tokens()->note_token_uses({{id, t0 + 3 * hour}});

    const auto t = s->tokens()->list_tokens(t0).at(0);
    EXPECT_EQ(t.revoked_by, "root");
    EXPECT_EQ(t.used_at, policy::instant{});
}

TEST_F(stored_tokens, schema_refuses_what_the_code_would_not_do) {
    const auto id = std::to_string(s->tokens()->add_token(one()));
    EXPECT_TRUE(s->tokens()->revoke_token(s->tokens()->add_token(one('b')), "root", t0));

    for (const std::string& sql :
         {"UPDATE api_tokens SET owner = 'root' WHERE id = " + id,
          "UPDATE api_tokens SET scopes = 'reload' WHERE id = " + id,
          "UPDATE api_tokens SET expires_at = expires_at + 1 WHERE id = " + id,
          "DELETE FROM api_tokens WHERE id = " + id,
          std::string("UPDATE api_tokens SET revoked_at = 0, revoked_by = '' WHERE revoked_at > 0"),
          std::string("INSERT INTO api_tokens (owner, made_by, name, scopes, secret_sha256, "
                      "made_at, expires_at) VALUES ('a', 'a', 'a', 'a', 'short', 1, 2)"),
          "INSERT INTO api_tokens (owner, made_by, name, scopes, secret_sha256, made_at, "
          "expires_at) VALUES ('a', 'a', 'a', 'a', '" +
              std::string(64, 'c') + "', 1, 2 + 367 * 24 * 3600 * 1000)"})
        EXPECT_NE(raw(sql), "") << sql;
    auto endless = one('d');
    endless.expires_at = t0 + 367 * 24 * hour;
    EXPECT_THROW(static_cast<void>(s->tokens()->add_token(endless)), store_error);
    EXPECT_THROW(static_cast<void>(s->tokens()->add_token(one())), store_error)
        << "the same secret twice";
}

}  // namespace
}  // namespace sallyport::proxy::store
