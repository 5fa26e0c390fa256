/* The broker's limit for a publisher: librabbitmq on one connection, persistent, mandatory, confirmed messages.
 *
 * publisher HOST PORT USER PASSWORD EXCHANGE WINDOW < EVENTS
 *
 * EVENTS are records of a routing key and a body, each with its length before it (two and four bytes, big-endian).
 * Prints the seconds from the first publish until the last confirm, and the CPU seconds of its own in between.
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct event {
    amqp_bytes_t key, body;
};

static void fail(const char *what) {
    fprintf(stderr, "publisher: %s failed\n", what);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static amqp_bytes_t read_bytes(int length_bytes, int *ended) {
    unsigned char length[4];
    amqp_bytes_t bytes = {0, NULL};
    size_t got = fread(length, 1, length_bytes, stdin);
    if ((*ended = got == 0)) return bytes;
    for (int at = 0; at < length_bytes; at++) bytes.len = bytes.len << 8 | length[at];
    bytes.bytes = malloc(bytes.len + 1);
    if (fread(bytes.bytes, 1, bytes.len, stdin) != bytes.len) fail("reading events");
    return bytes;
}

static size_t read_events(struct event **events) {
    size_t count = 0, room = 0;
    for (*events = NULL;; count++) {
        int ended;
        if (count == room) *events = realloc(*events, (room = room * 2 + 1024) * sizeof **events);
        (*events)[count].key = read_bytes(2, &ended);
        if (ended) return count;
        (*events)[count].body = read_bytes(4, &ended);
    }
}

/* Confirms come in any order: those ahead of the first unconfirmed message are marked in `ahead`. */
static size_t read_confirm(amqp_connection_state_t connection, size_t confirmed, size_t count, char *ahead) {
    amqp_frame_t frame;
    if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK) fail("waiting for confirms");
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD) fail("confirming");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    if (ack->delivery_tag > count) fail("counting confirms");
    if (ack->multiple && ack->delivery_tag > confirmed) confirmed = ack->delivery_tag;
    if (!ack->multiple) ahead[ack->delivery_tag] = 1;
    while (confirmed < count && ahead[confirmed + 1]) confirmed++;
    amqp_maybe_release_buffers(connection);
    return confirmed;
}

int main(int argc, char **argv) {
    if (argc != 7) fail("reading arguments");
    struct event *events;
    size_t count = read_events(&events), window = strtoul(argv[6], NULL, 10);
    char *ahead = calloc(count + 2, 1);

    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (amqp_socket_open(socket, argv[1], atoi(argv[2])) != AMQP_STATUS_OK) fail("connecting");
    if (amqp_login(connection, "/", 0, 131072, 60, AMQP_SASL_METHOD_PLAIN, argv[3], argv[4]).reply_type !=
        AMQP_RESPONSE_NORMAL)
        fail("login");
    amqp_channel_open(connection, 1);
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL) fail("opening a channel");
    amqp_confirm_select(connection, 1);

    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = 2,
    };
    amqp_bytes_t exchange = amqp_cstring_bytes(argv[5]);
    double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t sent = 0, confirmed = 0; confirmed < count;) {
        if (sent < count && sent - confirmed < window) {
            if (amqp_basic_publish(connection, 1, exchange, events[sent].key, 1, 0, &properties, events[sent].body) !=
                AMQP_STATUS_OK)
                fail("publishing");
            sent++;
        } else {
            confirmed = read_confirm(connection, confirmed, count, ahead);
        }
    }
    printf("%f %f\n", seconds(CLOCK_MONOTONIC) - began, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
