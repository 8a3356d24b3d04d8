#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/oracle/server_session.h"
#include "tests/oracle/writer.h"

/// A database full of ways to reach tables, made at random.
namespace sallyport::tests::oracle {

class world {
  public:
    /// Fills the database of `session`. Roles: oracle_owner owns it all, oracle_app may use it all,
    /// oracle_reader the same without the column `secret`. Definitions that the server refuses
    /// are left out.
    world(server_session& session, random_source& random);

    /// Renames and moves tables, replaces views; what is named by text in a body stays as it was.
    void change(server_session& session);

    [[nodiscard]] const world_names& names() const noexcept { return names_; }
    [[nodiscard]] world_names& names() noexcept { return names_; }
    /// The definitions that `text` leads to by name, for people.
    [[nodiscard]] std::string definitions_behind(const std::string& text) const;

  private:
    bool make(const std::string& sql);
    void tables();
    void attachments();
    void code();
    void rights();
    std::string schema() { return random_.pick(schemas_); }
    writer at(int level, bool writes = false);
    const relation_name& table(int level_min, bool whole);

    random_source& random_;
    server_session* session_;
    world_names names_;
    std::vector<std::string> schemas_{"alpha", "beta", "gamma"};
    std::vector<std::string> script_;
};

}  // namespace sallyport::tests::oracle
