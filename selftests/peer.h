/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Another process, which does what it is told.
 */
#ifndef SELFTESTS_PEER_H
#define SELFTESTS_PEER_H

#include <sys/types.h>

struct peer {
	pid_t pid;
	int socket;
};

/* Called in the peer, with the memory and the fds that it has. */
typedef int (*peer_fn)(void);

/* A fork: it begins with what the caller has. */
struct peer peer_start(void);
/* What @fn returned in the peer; or begin first, and see to it later. */
int peer_call(struct peer *peer, peer_fn fn);
void peer_begin(struct peer *peer, peer_fn fn);
int peer_end(struct peer *peer);
/* The peer's fd becomes one of ours, too. */
int peer_fd(struct peer *peer, int fd);
/* The peer is no more, and all that it had. */
void peer_kill(struct peer *peer);

/* What @fn returns in a process of its own. */
int in_another_process(peer_fn fn);

#endif /* SELFTESTS_PEER_H */
