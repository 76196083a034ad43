#include "orders.hpp"

#include <nlohmann/json.hpp>

namespace keyd {

using nlohmann::json;

namespace {

constexpr std::int64_t last_second = 253'402'300'799;  // of the year 9999

tl::unexpected<std::string> refuse(std::string why) {
  return tl::unexpected<std::string>(std::move(why));
}

tl::expected<std::string, std::string> text(const json& request, const char* field) {
  const auto found = request.find(field);
  if (found == request.end()) return refuse(std::string(field) + " is missing");
  if (!found->is_string() || found->get_ref<const std::string&>().empty()) {
    return refuse(std::string(field) + " is no text");
  }
  return found->get<std::string>();
}

tl::expected<ticket::sys_seconds, std::string> time(const json& request, const char* field) {
  const auto found = request.find(field);
  if (found == request.end()) return refuse(std::string(field) + " is missing");
  if (!found->is_number_integer() || *found < 0 || *found > last_second) {
    return refuse(std::string(field) + " is no time in Unix seconds");
  }
  return ticket::sys_seconds(ticket::seconds(found->get<std::int64_t>()));
}

// `otherwise` when the field is missing.
tl::expected<bool, std::string> flag(const json& request, const char* field, bool otherwise) {
  const auto found = request.find(field);
  if (found == request.end()) return otherwise;
  if (!found->is_boolean()) return refuse(std::string(field) + " is neither true nor false");
  return found->get<bool>();
}

tl::expected<Order, std::string> parse_expel(const json& request, Order order) {
  order.kind = Order::Kind::expel;
  const auto drop = flag(request, "drop_tickets", true);
  if (!drop) return refuse(drop.error());
  order.burn = *drop;
  return order;
}

tl::expected<Order, std::string> parse_rotate_issuer(const json& request, Order order) {
  order.kind = Order::Kind::rotate_issuer;
  const auto burn = flag(request, "burn", false);
  if (!burn) return refuse(burn.error());
  order.burn_tokens = *burn;
  return order;
}

tl::expected<Order, std::string> parse_revoke(const json& request, Order order) {
  order.kind = Order::Kind::revoke;
  const auto from = time(request, "from"), until = time(request, "until");
  if (!from) return refuse(from.error());
  if (!until) return refuse(until.error());
  if (*from > *until) return refuse("from is later than until");
  order.from = *from;
  order.until = *until;
  return order;
}

}  // namespace

tl::expected<Order, std::string> parse_order(const json& request) {
  if (!request.is_object()) return refuse("a request is a JSON object");
  const auto command = text(request, "command");
  if (!command) return refuse(command.error());
  Order order;
  if (*command == "clock-accept") {
    order.kind = Order::Kind::accept_clock;
    return order;
  }
  if (*command != "rotate" && *command != "expel" && *command != "readmit" &&
      *command != "revoke" && *command != "issuer-rotate") {
    return refuse(
        "unknown command; known are pools, status, audit, client-manifest, rotate, expel, readmit, "
        "revoke, clock-accept, issuer-status and issuer-rotate");
  }
  const auto pool = text(request, "pool");
  if (!pool) return refuse(pool.error());
  order.pool = *pool;
  if (*command == "rotate") return order;
  if (*command == "issuer-rotate") return parse_rotate_issuer(request, std::move(order));

  const auto member = text(request, "member");
  if (!member) return refuse(member.error());
  order.member = *member;
  if (*command == "expel") return parse_expel(request, std::move(order));
  if (*command == "revoke") return parse_revoke(request, std::move(order));
  order.kind = Order::Kind::readmit;
  return order;
}

}  // namespace keyd
