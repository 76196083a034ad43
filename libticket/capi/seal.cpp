// <ticket/ticket.h>: contexts, tkt_seal and tkt_open.
#include <string>

#include "capi/door.hpp"
#include "capi/handle.hpp"
#include "seal/ticket.hpp"

static_assert(TKT_PAYLOAD_MAX == ticket::seal::max_payload);

namespace ticket::capi {
namespace {

auto reporter(const tkt_ring* ring) {
  return [ring](const char* what) { ring->say(TKT_LOG_ERROR, what); };
}

BytesView view(const void* bytes, std::size_t size) {
  return {static_cast<const std::byte*>(bytes), size};
}

// What the hot path asks first: the time, and the ring as it is now.
Moment tended(tkt_ring* ring) {
  const Moment now = ring->live->now();
  if (ring->live->due(now)) tkt_ring_tend(ring, nullptr);
  return now;
}

tkt_status name_context(tkt_ring* ring, const char* purpose, const char* name, tkt_context** out) {
  const auto whole = std::string(ring::purpose::seal_prefix) + purpose;
  const int number = ring->live->context(whole, name);
  if (number < 0) {
    ring->say(TKT_LOG_ERROR,
              "tkt_ring_context: a ring takes 1024 contexts, of 255 bytes each, and a purpose 250");
    return TKT_BAD_ARGUMENT;
  }
  const std::lock_guard guard(ring->naming);
  *out = &ring->contexts.try_emplace(number, tkt_context{ring, number}).first->second;
  return TKT_OK;
}

std::int64_t unix_time(const std::optional<sys_seconds>& time) {
  return time ? time->time_since_epoch().count() : 0;
}

tkt_opened to_c(const seal::Label& label) {
  tkt_opened opened{};
  opened.epoch = label.epoch;
  opened.minter = label.minter;
  opened.renew = label.renew ? 1 : 0;
  opened.born = unix_time(label.born);
  opened.sealed = unix_time(label.sealed);
  opened.expires = unix_time(label.expires);
  return opened;
}

seal::Wish to_wish(const tkt_seal_options& options) {
  seal::Wish wish;
  if (options.born != 0) wish.born = sys_seconds(seconds(options.born));
  if (options.lifetime != 0) wish.lifetime = seconds(options.lifetime);
  return wish;
}

// A buffer, and the room there, by which the caller also learns what went in.
bool takes(const void* buffer, const std::size_t* room) {
  return room != nullptr && (buffer != nullptr || *room == 0);
}

}  // namespace
}  // namespace ticket::capi

using namespace ticket;
using namespace ticket::capi;

tkt_status tkt_ring_context(tkt_ring* ring, const char* purpose, const char* name,
                            tkt_context** out) {
  if (out == nullptr) return TKT_BAD_ARGUMENT;
  *out = nullptr;
  if (ring == nullptr) return TKT_BAD_ARGUMENT;
  return guarded(reporter(ring), [&] {
    return name_context(ring, purpose == nullptr ? "ticket" : purpose,
                        name == nullptr ? "default" : name, out);
  });
}

size_t tkt_seal_size(size_t payload_size) {
  return payload_size > seal::max_payload ? 0 : seal::ticket_size(payload_size);
}

size_t tkt_open_size(size_t ticket_size) { return seal::payload_room(ticket_size).value_or(0); }

tkt_status tkt_seal(tkt_context* context, void* ticket, size_t* ticket_size, const void* payload,
                    size_t payload_size, const tkt_seal_options* given) {
  tkt_seal_options options{};
  if (context == nullptr || !takes(ticket, ticket_size) ||
      (payload == nullptr && payload_size != 0) || payload_size > seal::max_payload ||
      (given != nullptr && !take_options(given, &options)) || options.born < 0) {
    return TKT_BAD_ARGUMENT;
  }
  const std::size_t size = seal::ticket_size(payload_size);
  if (*ticket_size < size) {
    *ticket_size = size;
    return TKT_BUFFER_TOO_SMALL;
  }
  *ticket_size = 0;
  return guarded(reporter(context->ring), [&] {
    const Moment now = tended(context->ring);
    const std::span out(static_cast<std::byte*>(ticket), size);
    const auto sealed = seal::seal(*context->ring->live, context->number, now,
                                   view(payload, payload_size), to_wish(options), out);
    if (sealed) *ticket_size = size;
    return sealed ? TKT_OK : status_of(sealed.error());
  });
}

tkt_status tkt_open(tkt_context* context, void* payload, size_t* payload_size, const void* ticket,
                    size_t ticket_size, tkt_opened* opened) {
  if (context == nullptr || !takes(payload, payload_size) ||
      (ticket == nullptr && ticket_size != 0) || (opened != nullptr && !can_take(opened))) {
    return TKT_BAD_ARGUMENT;
  }
  const std::size_t room = tkt_open_size(ticket_size);
  if (*payload_size < room) {
    *payload_size = room;
    return TKT_BUFFER_TOO_SMALL;
  }
  *payload_size = 0;
  return guarded(reporter(context->ring), [&] {
    const Moment now = tended(context->ring);
    const std::span out(static_cast<std::byte*>(payload), room);
    seal::Label label;
    const auto size = seal::open(*context->ring->live, context->number, now,
                                 view(ticket, ticket_size), out, label);
    if (size) *payload_size = *size;
    if (opened != nullptr) give_result(to_c(label), opened);
    return size ? TKT_OK : status_of(size.error());
  });
}
