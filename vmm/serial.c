// SPDX-License-Identifier: GPL-2.0
/* A 16550A that only sends: the guest's console on our standard output. */
#include <errno.h>
#include <linux/serial_reg.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm.h"

#define SERIAL_PORT 0x3f8
#define SERIAL_IRQ  4

/**
 * struct serial - the UART
 * @vm: the machine
 * @ier: interrupt enable
 * @fcr: FIFO control
 * @lcr: line control
 * @mcr: modem control
 * @scr: scratch
 * @divisor: the baud rate, which nothing depends on
 * @thr_irq: the transmitter has become empty and the guest has not been told
 * @level: state of the interrupt line
 * @region: where the guest finds it
 */
struct serial {
	struct vm *vm;
	uint8_t ier, fcr, lcr, mcr, scr;
	uint8_t divisor[2];
	bool thr_irq;
	bool level;
	struct bus_region region;
};

static void serial_update_irq(struct serial *s)
{
	bool level = s->thr_irq && s->ier & UART_IER_THRI;
	struct kvm_irq_level line = { .irq = SERIAL_IRQ, .level = level };

	if (level == s->level)
		return;
	s->level = level;
	if (ioctl(s->vm->fd, KVM_IRQ_LINE, &line))
		vm_stop(s->vm, 1, "serial port: KVM_IRQ_LINE: %s",
			strerror(errno));
}

/* Nobody may read what we write, and a signal can come just before a write. */
static void serial_put(const struct serial *s, uint8_t byte)
{
	struct pollfd fds[] = {
		{ .fd = STDOUT_FILENO, .events = POLLOUT },
		{ .fd = s->vm->stop_fd, .events = POLLIN },
	};

	while (!atomic_load(&s->vm->stopped)) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno == EINTR)
			continue;
		if (fds[1].revents || write(STDOUT_FILENO, &byte, 1) >= 0 || errno != EINTR)
			break;
	}
}

/*
 * The byte is gone at once, but the interrupt line has to fall and rise for it.
 * What cannot be written is lost.
 */
static void serial_send(struct serial *s, uint8_t byte)
{
	s->thr_irq = false;
	serial_update_irq(s);
	if (!(s->mcr & UART_MCR_LOOP))
		serial_put(s, byte);
	s->thr_irq = true;
}

static uint8_t serial_modem_status(struct serial *s)
{
	uint8_t msr = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	/* Loop mode: the outputs come back as inputs. */
	if (s->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (s->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (s->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (s->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

static uint8_t serial_interrupt_id(struct serial *s)
{
	uint8_t iir = (s->fcr & UART_FCR_ENABLE_FIFO) ? 0xc0 : 0;

	if (!s->level)
		return iir | UART_IIR_NO_INT;
	s->thr_irq = false;
	serial_update_irq(s);
	return iir | UART_IIR_THRI;
}

static uint64_t serial_read(void *dev, uint64_t off, unsigned int len)
{
	struct serial *s = dev;

	(void)len;
	if (off <= UART_DLM && s->lcr & UART_LCR_DLAB)
		return s->divisor[off];
	switch (off) {
	case UART_IER:
		return s->ier;
	case UART_IIR:
		return serial_interrupt_id(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE;
	case UART_MSR:
		return serial_modem_status(s);
	case UART_SCR:
		return s->scr;
	default:
		return 0; /* nothing is ever received */
	}
}

static void serial_write(void *dev, uint64_t off, unsigned int len,
			 uint64_t val)
{
	struct serial *s = dev;

	(void)len;
	if (off <= UART_DLM && s->lcr & UART_LCR_DLAB) {
		s->divisor[off] = val;
		return;
	}
	switch (off) {
	case UART_TX:
		serial_send(s, val);
		break;
	case UART_IER:
		/* Enabling it reports a transmitter that is empty already. */
		if (val & ~s->ier & UART_IER_THRI)
			s->thr_irq = true;
		s->ier = val & 0x0f;
		break;
	case UART_FCR:
		s->fcr = val;
		break;
	case UART_LCR:
		s->lcr = val;
		break;
	case UART_MCR:
		s->mcr = val & 0x1f;
		break;
	case UART_SCR:
		s->scr = val;
		break;
	}
	serial_update_irq(s);
}

void serial_init(struct vm *vm)
{
	static struct serial serial = {
		.region = {
			.base = SERIAL_PORT,
			.len = 8,
			.read = serial_read,
			.write = serial_write,
			.dev = &serial,
		},
	};

	serial.vm = vm;
	bus_add(&vm->pio, &serial.region);
}
