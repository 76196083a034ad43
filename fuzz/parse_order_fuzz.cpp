// An order of the admin socket that is taken has what it needs, within its bounds.
#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "orders.hpp"

FUZZ_TARGET(data, size) {
  const auto request = nlohmann::json::parse(text_of(data, size), nullptr, false);
  const auto order = keyd::parse_order(request);
  if (!order) {
    holds(!order.error().empty());
    return 0;
  }
  using Kind = keyd::Order::Kind;
  holds(order->kind == Kind::accept_clock || !order->pool.empty());
  const bool of_member =
      order->kind == Kind::expel || order->kind == Kind::readmit || order->kind == Kind::revoke;
  holds(!of_member || !order->member.empty());
  holds(order->kind != Kind::revoke || order->from <= order->until);
  return 0;
}
