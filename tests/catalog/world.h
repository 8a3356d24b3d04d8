#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "proxy/catalog/reader.h"
#include "tests/support/postgres_server.h"
#include "tests/support/psql_session.h"

/// A database of the test's own, and the catalog's login to it.
namespace sallyport::tests {

class catalog_world : public testing::Test {
  protected:
    ~catalog_world() override { server.drop_database(database); }

    std::string sql(const std::string& text) const { return server.query(database, text); }

    [[nodiscard]] proxy::catalog::server_address address() const {
        proxy::catalog::server_address a;
        a.host = "127.0.0.1";
        a.port = server.port();
        a.dbname = database;
        a.user = "sallyport_catalog";
        a.password.emplace("sallyport_catalog-password");
        a.tls.mode = proxy::net::client_tls_mode::disable;
        return a;
    }

    [[nodiscard]] policy::catalog::rows read_rows(
        const proxy::catalog::read_limits& limits = {}) const {
        const proxy::catalog::stop_signal stop;
        proxy::catalog::connection c(address(), stop);
        return std::move(*proxy::catalog::read_if_changed(c, 1, "", limits).rows);
    }

    /// A superuser's session straight to the server that has run `text` and stays.
    [[nodiscard]] std::unique_ptr<psql_session> hold(const std::string& text) const {
        auto psql = std::make_unique<psql_session>(psql_options{.port = server.port(),
                                                                .user = "postgres",
                                                                .password = "postgres-password",
                                                                .database = database});
        const auto answer = psql->ask(text);
        EXPECT_EQ(answer.sqlstate, "00000") << answer.text;
        return psql;
    }

    postgres_server& server = postgres_server::shared();
    std::string database = server.create_shop();
};

}  // namespace sallyport::tests
