// The HTTP API's requests as values (docs/formats.md). No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>

#include "messages.hpp"

namespace keyd::api {

struct BundleRequest {
  std::string pool;
  std::uint64_t after = 0;
  std::uint64_t wait = 0;  // seconds, at most 300
  std::optional<std::uint64_t> applied;
};

struct WrapRequest {
  std::string pool, member;
};

struct EnrolRequest {
  std::string pool;
};

using Request = std::variant<BundleRequest, WrapRequest, EnrolRequest>;

struct Problem {
  int status = 400;
  std::string text;
};

constexpr std::uint64_t longest_wait = 300;

// 404 for a path that there is not, 405 for another method, 400 for a query that
// does not parse; parameters that nobody knows are passed over.
tl::expected<Request, Problem> parse_request(std::string_view method, std::string_view target);

// The body of an enrolment; pool, id and address are left for the caller. 400.
tl::expected<Enrol, Problem> parse_enrolment(std::string_view body);

// {"error": "..."} and the other bodies.
std::string error_body(std::string_view text);
std::string wrap_body(std::uint64_t generation, const MemberWrap& wrap);
std::string enrolled_body(const Enrolled& answer);

}  // namespace keyd::api
