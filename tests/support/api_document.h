#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/http_client.h"

/// The OpenAPI document of the proxy under test, and whether answers are as it says.
namespace sallyport::tests {

class api_document {
  public:
    explicit api_document(nlohmann::json document) : document_(std::move(document)) {}

    struct operation {
        std::string method;  ///< "GET"
        std::string path;    ///< "/api/v1/holds/{id}"
        nlohmann::json about;
        [[nodiscard]] bool open() const { return about.at("security").empty(); }
        [[nodiscard]] bool lets_in(const std::string& role) const;
    };
    [[nodiscard]] std::vector<operation> operations() const;
    /// Type (without its front) and status of every problem.
    [[nodiscard]] std::vector<std::string> problems() const;

    /// What is wrong with `value`; empty: it is as `schema` says. Objects are closed: a member that
    /// the schema does not name is a fault. A keyword that this does not know is one as well, so
    /// that nothing is taken for checked that was not.
    [[nodiscard]] std::vector<std::string> check(const nlohmann::json& schema,
                                                 const nlohmann::json& value) const;
    /// The same for an answer to an operation: its status, its media type, its body.
    [[nodiscard]] std::vector<std::string> check(const std::string& method, const std::string& path,
                                                 const http_response& answer) const;
    [[nodiscard]] const nlohmann::json& schema(const std::string& name) const;
    [[nodiscard]] const nlohmann::json& raw() const noexcept { return document_; }

  private:
    [[nodiscard]] const nlohmann::json& resolved(const nlohmann::json& node) const;
    void check_at(const nlohmann::json& schema, const nlohmann::json& value,
                  const std::string& place, std::vector<std::string>& faults) const;
    void check_object(const nlohmann::json& schema, const nlohmann::json& value,
                      const std::string& place, std::vector<std::string>& faults) const;
    nlohmann::json document_;
};

}  // namespace sallyport::tests
