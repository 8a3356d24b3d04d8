#pragma once

#include <string>
#include <vector>

#include "tests/differential/random.h"

/// Random SQL over a world of relations that all have the columns id, k, x, secret.
namespace sallyport::tests::oracle {

using differential::random_source;

struct relation_name {
    std::string schema;
    std::string name;
    char kind = 'r';  ///< pg_class.relkind
    int level = 0;    ///< what a view or a function of a higher level may use
    bool writable = false;
    bool renamed = false;
    [[nodiscard]] std::string qualified() const { return schema + "." + name; }
};

struct routine_name {
    std::string schema;
    std::string name;
    int level = 0;
    std::string row_of{};  ///< takes a row of this table
    [[nodiscard]] std::string qualified() const { return schema + "." + name; }
};

/// Calls code without the name of a function around an integer.
struct wrapper {
    std::string before;
    std::string after;
};

/// What there is to be named.
struct world_names {
    std::vector<relation_name> relations;
    std::vector<routine_name> scalars;     ///< (int) → int, reads
    std::vector<routine_name> sets;        ///< (int) → rows with id, k, x, secret, reads
    std::vector<routine_name> writers;     ///< (int) → int, writes
    std::vector<routine_name> procedures;  ///< (int), write
    std::vector<routine_name> of_rows;     ///< (table) → int
    std::vector<routine_name> aggregates;  ///< of ints
    std::vector<std::string> operators;    ///< of two ints, in schema alpha
    std::vector<wrapper> wrappers;         ///< casts and the like, int → int
};

inline constexpr int level_all = 1'000;

struct writer_options {
    int level = level_all;          ///< uses only what is below
    bool writes = false;            ///< may call what writes
    bool functions = true;          ///< calls anything at all
    std::vector<std::string> path;  ///< bare names where they are in it; empty: never
};

/// Writes one text after the other; the parts are marked (fragments.h).
class writer {
  public:
    writer(const world_names& world, random_source& random, writer_options options)
        : world_(world), random_(random), options_(std::move(options)) {}

    std::string query(int depth);   ///< rows with id, k, x, secret
    std::string column(int depth);  ///< a query with one integer column
    std::string value(int depth);   ///< an integer expression
    std::string condition(int depth);
    std::string change(int depth);  ///< INSERT, UPDATE, DELETE or MERGE, without RETURNING
    std::string text();             ///< one or several statements of any kind
    std::string plpgsql(bool writes, const std::string& result);  ///< the body of a function
    std::string definition();                                     ///< DDL of a running session
    std::string name(const relation_name& r);
    std::string name(const routine_name& r);

  private:
    struct source {
        std::string alias;
        std::string relation;  ///< "" for other things
    };
    using scope = std::vector<source>;

    bool percent(unsigned p) { return random_.percent(p); }
    std::string number() { return std::to_string(random_.below(9)); }
    std::string alias() { return "a" + std::to_string(aliases_++); }
    std::string bare_or_not(const std::string& schema, const std::string& name);
    const relation_name& readable();
    const relation_name* writable(bool merge);
    const routine_name* one_of(const std::vector<routine_name>& list);
    std::string select(int depth);
    std::string with(int depth);
    std::string from(int depth);
    std::string item(int depth, bool lateral);
    std::string leaf();
    std::string call(int depth);
    std::string insert(int depth);
    std::string returning(int depth, const source& of);
    std::string step(bool writes, int depth);

    const world_names& world_;
    random_source& random_;
    writer_options options_;
    scope scope_;
    std::vector<std::string> ctes_;
    int aliases_ = 0;
};

}  // namespace sallyport::tests::oracle
