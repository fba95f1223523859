// SPDX-License-Identifier: GPL-2.0-only
/*
 * requests disk DEVICE SECONDS | net ADDRESS SECONDS | answer: one request after the other
 * for so long, and how many there were: direct reads of 4 KiB at places of chance, or a byte
 * there and back over TCP to where `requests answer` runs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT  5001
#define BLOCK 4096

struct target {
	void (*request)(struct target *target);
	int fd;
	/* Of a disk. */
	uint64_t blocks;
	uint64_t chance;
};

static void open_disk(struct target *target, const char *device)
{
	target->fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (target->fd < 0)
		err(1, "%s", device);
	target->blocks = lseek(target->fd, 0, SEEK_END) / BLOCK;
	if (!target->blocks)
		errx(1, "%s is too small", device);
	target->chance = 1;
}

/* Knuth's MMIX: all of its places are as likely. */
static void read_block(struct target *target)
{
	static char block[BLOCK] __attribute__((aligned(BLOCK)));

	target->chance = target->chance * 6364136223846793005 + 1442695040888963407;
	if (pread(target->fd, block, BLOCK, (target->chance >> 33) % target->blocks * BLOCK) !=
	    BLOCK)
		err(1, "read");
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		err(1, "socket");
	return fd;
}

static void open_net(struct target *target, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	target->fd = new_socket();
	if (!inet_aton(address, &in.sin_addr))
		errx(1, "%s is no IPv4 address", address);
	if (connect(target->fd, (struct sockaddr *)&in, sizeof(in)))
		err(1, "connect to %s", address);
}

static void ask(struct target *target)
{
	char byte = 0;

	if (write(target->fd, &byte, 1) != 1 || read(target->fd, &byte, 1) != 1)
		err(1, "no answer");
}

static void answer(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = new_socket(), peer;
	char byte;

	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 1))
		err(1, "listen");
	peer = accept(fd, NULL, NULL);
	if (peer < 0)
		err(1, "accept");
	while (read(peer, &byte, 1) == 1)
		if (write(peer, &byte, 1) != 1)
			err(1, "write");
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct target target = {};
	unsigned long n = 0;
	double begin, seconds;

	if (argc == 4 && !strcmp(argv[1], "disk")) {
		target.request = read_block;
		open_disk(&target, argv[2]);
	} else if (argc == 4 && !strcmp(argv[1], "net")) {
		target.request = ask;
		open_net(&target, argv[2]);
	} else if (argc != 2 || strcmp(argv[1], "answer")) {
		errx(1, "usage: requests disk DEVICE SECONDS | net ADDRESS SECONDS | answer");
	}

	if (!target.request) {
		answer();
		return 0;
	}

	/* What is slow once. */
	for (; n < 100; n++)
		target.request(&target);
	begin = now();
	for (n = 0; (seconds = now() - begin) < atof(argv[3]); n++)
		target.request(&target);
	printf("%lu requests\n%.0f a second\n", n, n / seconds);
	return 0;
}
