// Every byte that libticket and keyd put on a wire or into a file. Integers are
// big-endian unless a table says otherwise; times are Unix seconds in u64.
// Parsing and writing of each structure stand side by side in the file named.
//
//   Ticket (RFC 5077, section 4), made by the TLS stack
//     0   16  key_name     which STEK sealed it
//    16   16  iv           random
//    32    n  sealed_state AES-256-CBC, n a multiple of 16
//  32+n   32  mac          HMAC-SHA256 over everything before it
//
//   STEK material: HKDF-SHA256-Expand(epoch secret, info, 80)  ring/derive.cpp
//     info = "libticket 1" | u8 length, purpose | u8 length, pool | u8 length, context
//     0   16  key_name
//    16   32  hmac_key
//    48   32  aes_key      then, of TLS stacks that attribute: 16 more, name_key
//
//   Ticket key files, of servers without our plugin            keyd/ticket_key.cpp
//     nginx      name 16 | hmac 32 | aes 32, raw, a file each; the first that is named seals
//     haproxy    name 16 | aes 32 | hmac 32, base64, a line each; previous, seals, next
//     48         name 16 | hmac 16 | aes 16, raw (Apache): the first halves of the STEK
//                material of purpose "tls/openssl-aes128"
//
//   Attribution, in the ticket's application data              wire/attribution.cpp
//     0    1  version      1; then 2: minter, a member number, 0 = unknown
//     3    8  born         when the lineage's full handshake was made
//    11    8  sealed       when this ticket was sealed
//    19    8  name_hash    SipHash-2-4(name_key, lower-case name [| NUL | CAs 32]), zero = none
//    27    8  table        only where early data may come (wire/ticket_data.cpp): never zero
//
//   What tkt_seal seals, in the place of the ticket's state    seal/ticket.cpp
//     0   27  attribution  its name_hash is zero
//    27    8  expires      the ticket opens before, not from then on
//    35    n  payload
//  35+n    p  padding      1 to 16 bytes of value p, up to a whole block (PKCS #7)
//
//   Bundle secrets, the plaintext under the content key        wire/secrets.cpp
//     0    1  version      2
//     1    2  count        of epochs, at most 64
//     3   52n each epoch:  number 4 | id 16 | secret 32
//  3+52n 4+m  u32 length, token block; empty where the pool has no tokens
//
//   Token block, what redeemers are told                       wire/token_block.cpp
//     u8 version 2 | u8 length, issuer's name | u16 length, origin_info (at most 4096) |
//     u16 code point of the ristretto type (0 = not spoken) | u8 record (0 = a host's
//     table, 1 = Redis) | u16 redeemer (member number, with a table; 0 = nobody) |
//     u8 n, epochs, oldest first, at most 8:
//       number 4 | id 16 | made 8 | issues_from 8 | issues_until 8 | redeems_until 8 |
//       u32 capacity (tokens) | redemption context 32 | location key 32 | sentinel 16 |
//       u16 length, blind RSA token key (342 or none) | u8 length, ristretto scalar (32 or none)
//
//   Wrap, the plaintext of crypto_box_seal                     wire/secrets.cpp
//     0   32  content_key
//    32    2  member number
//
//   What is signed (each with its own prefix)                  wire/signed.cpp
//     bundle:    "libticket bundle 1\0" | SHA-256(manifest) | SHA-256(secrets)
//     enrolment: "libticket enrol 1\0" | authority key hash 32 | u8 length, pool |
//                sealing public key 32 | time 8
//
//   Ring file; native byte order, since it never leaves the host   ring/ring_file.cpp
//     header, one page
//     0    8  magic        "tktring\0"
//     8    4  layout version
//    12    4  slot size
//    16    8  index        grows by one a publish; its lowest bit names the slot; 0 = no ring yet
//    24    8  heartbeat    when the writer last lived
//    32    1  pool length, then 255 bytes of pool name
//     then two slots of slot size, each:
//     0    8  index        which publish filled it
//     8    4  body length
//    12   32  SHA-256 of the body
//    44    n  body         see ring slot
//
//   Ring slot body                                             wire/ring_slot.cpp
//     u8 version 3 | u64 generation | u16 member | u64 issued_at | u64 not_after |
//     policy: u32 rotate_every, lifetime, publish_ahead, stretch, lineage |
//             u8 unattributed (0 = accept, 1 = refuse) |
//     u16 n, epochs: number 4 | id 16 | made 8 | seals_from 8 | seals_until 8 |
//                    opens_until 8 | flags 1 (bit 0: burned) | secret 32 |
//     u16 n, revocations: minter 2 | from 8 | until 8 | u32 length, token block
//
//   Counters file; native byte order                           ring/counters.cpp
//     header, 16 bytes
//     0    8  magic        "tktcount"
//     8    4  layout version
//    12    4  counters in each slot
//     then any number of slots; the first gathers what ended processes counted
//     0    8  owner        process id | low half of its start time << 32; 0 = free
//     8    8n counters
//
//   Keeper state file                                          keyd/state.cpp
//     0    8  magic        "tktstate"
//     8    1  version      4
//     9    1  kdf          0 = the key itself, 1 = Argon2id from a passphrase
//    10   16  salt         of Argon2id, else zero
//    26    8  counter      grows with each store
//    34    n  sealed       XChaCha20-Poly1305: nonce 24 | ciphertext | tag 16
//                          AD = "libticket state 1\0" | counter 8
//
//   Keeper state, the plaintext                                keyd/state.cpp
//     u8 version 4 |
//     u64 audit lines ever | SHA-256 of the last 32 | u16 n, lines: u32 length, line |
//     u16 n, pools:
//       u8 length, name | u64 generation | u32 last_epoch | u16 last_member |
//       u32 length, manifest as signed | content key 32 |
//       u16 n, epochs: number 4 | id 16 | made 8 | seals_from 8 | seals_until 8 |
//                      opens_until 8 | flags 1 (bit 0: burned) | secret 32 |
//       u16 n, members: number 2 | u8 length, name | u8 length, fingerprint |
//                       sealing public key 32 | enrolled_at 8 |
//       u16 n, expelled: number 2 | u8 length, name | u8 length, fingerprint |
//                        at 8 | flags 1 (bit 0: readmitted)
//       u16 n, revocations: minter 2 | from 8 | until 8
//       u32 last token epoch | SHA-256 of the record's name 32 | of the token block 32 |
//       u8 n, token epochs, at most 8: number 4 | id 16 | made 8 | issues_from 8 |
//             issues_until 8 | redeems_until 8 | capacity 4 | announced_in 8 | ended_in 8 |
//             ended_at 8 | flags 1 (0: held, 1: sentinel, 2: begun, 3: closed, 4: ordered) |
//             redemption context 32 | sentinel 16 | u16 length, blind RSA token key |
//             u8 length, ristretto element | location key 32 | u8 length, ristretto scalar |
//             u16 length, blind RSA private key, PKCS #1        keyd/token_state.cpp
//
//   Client's session cache file                                client/cache_file.cpp
//     0    8  magic        "tktclnt\0"
//     8    1  version      4
//     9    4  count        of sessions, each (lengths u32 unless they say u8):
//             length, partition | length, pool | length, HOST:PORT whose ticket it is |
//             u8 length, ALPN | received 8 | expires 8 | lineage's full handshake 8 | length,
//             its host | chain verified 1 | peer 1, depth 4, auth level 4, flags 8, callback 1,
//             level 4, host flags 4, CT 1, store's depth 4, flags 8, host flags 4, callback 1,
//             time 8, cert flags 4, time 8 | SHA-256 of its certificate 32 | length, DER session
//     n   32  SHA-256 of everything before
//
//   TokenChallenge (RFC 9577, section 2.1)                     token/challenge.cpp
//     0    2  token_type
//     2  2+n  issuer_name          u16 length, at least 1
//          1  length               0 or 32
//       0|32  redemption_context
//        2+n  origin_info          u16 length; names with commas between them, or empty
//
//   Token (RFC 9577, section 2.2)                              token/token.cpp
//     0    2  token_type
//     2   32  nonce                drawn by the client
//    34   32  challenge_digest     SHA-256(TokenChallenge)
//    66   32  token_key_id         SHA-256(token key)
//    98    n  authenticator        over the 98 bytes before it: 256 (0x0002) or 64 (0x0005)
//
//   Token key (its id's last byte is its truncated id)         token/token_key.cpp
//     0x0002  342  SubjectPublicKeyInfo, DER (RFC 9578, section 6.5; RFC 4055):
//     0   81  id-RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48; 2048 bits
//    81  256  modulus
//   337    5  exponent             65537
//     0x0005   32  a ristretto255 element (draft-ietf-privacypass-batched-tokens)
//
//   TokenRequest, TokenResponse                                token/issuance.cpp
//     request: token_type 2 | truncated_key_id 1 | blinded element, 256 (0x0002) or 32
//     response, 0x0002:  blind signature 256
//     response, 0x0005:  evaluated element 32 | proof 64
//     batch request (0x0005 alone):  token_type 2 | truncated_key_id 1 |
//                        varint length, blinded elements 32n
//     batch response:    varint length, evaluated elements 32n | proof 64
//     varint: RFC 9000, section 16, in its shortest form; n is 1 to 256
//
//   Replay table; native byte order, since it never leaves the host   replay/table.cpp
//     header, one page
//     0    8  magic        "tktspent"
//     8    4  layout version
//    12    4  closed       1 = its epoch is over: nothing is fresh any more
//    16   16  epoch id
//    32   16  boot id      of the kernel that was running
//    48    8  opened       when it was made; what was spent before is not in it
//    56    8  boot time    of the same moment, in ns (CLOCK_BOOTTIME); at 64, 8: lines
//    72   16  seed         random; at 88, 32: SHA-256 of magic, version and of 16 to 88
//     then lines of 8 fingerprints of 8 bytes; 0 = free
//
//   The record in Redis; bytes 0-8 of a location choose N     replay/redis_record.cpp
//     {tkt:POOL}:EPOCHIDHEX:s   RUNID:REPLID:BUCKETS:RANDOMHEX, text
//     {tkt:POOL}:EPOCHIDHEX:N   hash of bytes 8-16 of the location -> claim id 16
//
//   Claims socket, between servers of a host and its agent     wire/claim.cpp
//     claim:   number 4 | epoch id 16 | location 32 | claim id 16
//     answer:  number 4 | verdict 1 (0 = fresh, 1 = replay, 2 = unknown); in any order
//
//     {tkt:POOL}:EPOCHIDHEX:N   hash of bytes 8-16 of the location -> bytes 0-12 of the claim's id
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ticket::wire {

constexpr std::size_t key_name_size = 16;   // RFC 5077, section 4
constexpr std::size_t iv_size = 16;         // one AES block
constexpr std::size_t mac_size = 32;        // HMAC-SHA256
constexpr std::size_t max_name_size = 255;  // of a pool, context, purpose: u8 length
constexpr std::size_t max_epochs = 64;      // what a policy may ask for (ring/policy.hpp)
constexpr std::size_t max_revocations = 256;
constexpr std::size_t stek_size = 80;
constexpr std::size_t epoch_secret_size = 32;
constexpr std::size_t attribution_size = 27;
constexpr std::size_t wrap_size = 34;
constexpr std::size_t claim_size = 68;
constexpr std::size_t claim_answer_size = 5;

constexpr std::string_view client_cache_magic{"tktclnt\0", 8};
constexpr std::size_t token_input_size = 98;  // what an authenticator is over
constexpr std::size_t rsa_token_key_size = 342;
constexpr std::size_t max_token_batch = 256;  // 30 ms of an issuer's time
constexpr std::size_t max_token_epochs = 8;
constexpr std::size_t max_origin_info = 4096;  // of a pool's challenges

constexpr std::string_view derive_prefix = "libticket 1";
constexpr std::string_view bundle_prefix{"libticket bundle 1\0", 19};
constexpr std::string_view enrol_prefix{"libticket enrol 1\0", 18};

}  // namespace ticket::wire
