#include "api.hpp"

#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

namespace keyd::api {

using nlohmann::json;

namespace {

tl::unexpected<Problem> refuse(int status, std::string text) {
  return tl::unexpected<Problem>(Problem{status, std::move(text)});
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Names of pools and members need no escapes, so a path has none.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 255) return false;
  for (const char c : text) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!fine) return false;
  }
  return true;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

tl::expected<Request, Problem> bundle_request(std::string_view pool, std::string_view query) {
  BundleRequest request;
  request.pool = pool;
  for (const auto parameter : split(query, '&')) {
    const auto equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = parameter.substr(0, equals);
    if (name != "after" && name != "wait" && name != "applied") continue;
    const auto number = parse_number(parameter.substr(equals + 1));
    if (!number) return refuse(400, std::string(name) + " is not a number");
    if (name == "after") request.after = *number;
    if (name == "wait") request.wait = *number;
    if (name == "applied") request.applied = *number;
  }
  if (request.wait > longest_wait) return refuse(400, "wait is at most 300 seconds");
  return request;
}

}  // namespace

tl::expected<Request, Problem> parse_request(std::string_view method, std::string_view target) {
  const auto question = target.find('?');
  const auto query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  const auto path = split(target.substr(0, question), '/');  // "", v1, pools, POOL, ...
  const bool known = path.size() >= 5 && path[0].empty() && path[1] == "v1" && path[2] == "pools" &&
                     is_name(path[3]);
  if (!known) return refuse(404, "no such path");

  const bool bundle = path.size() == 5 && path[4] == "bundle";
  const bool wrap = path.size() == 6 && path[4] == "wraps" && is_name(path[5]);
  const bool enrol = path.size() == 6 && path[4] == "members" && path[5] == "self";
  if (!bundle && !wrap && !enrol) return refuse(404, "no such path");
  const std::string_view wanted = enrol ? "PUT" : "GET";
  if (method != wanted) return refuse(405, "this path takes " + std::string(wanted));

  if (bundle) return bundle_request(path[3], query);
  if (wrap) return WrapRequest{std::string(path[3]), std::string(path[5])};
  return EnrolRequest{std::string(path[3])};
}

tl::expected<Enrol, Problem> parse_enrolment(std::string_view body) {
  try {
    const auto parsed = json::parse(body);
    Enrol request;
    parsed.at("chain").get_to(request.chain);
    parsed.at("sealing_key").get_to(request.sealing_key);
    parsed.at("time").get_to(request.time);
    parsed.at("signature").get_to(request.signature);
    return request;
  } catch (const json::exception&) {
    return refuse(400, "the body is not JSON with chain, sealing_key, time and signature");
  }
}

std::string error_body(std::string_view text) {
  return json{{"error", text}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string wrap_body(std::uint64_t generation, const MemberWrap& wrap) {
  return json{{"generation", generation}, {"member", wrap.number}, {"wrap", wrap.wrap}}.dump() +
         "\n";
}

std::string enrolled_body(const Enrolled& answer) {
  return json{{"generation", answer.generation}, {"member", answer.member}}.dump() + "\n";
}

}  // namespace keyd::api
