// SPDX-License-Identifier: GPL-2.0
/* The ACPI tables: CPUs, I/O APIC, power, and dsdt.asl for what is on PCI. */
#include <assert.h>
#include <string.h>

#include "vmm.h"
#include "dsdt.hex"

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct xsdt {
	struct header header;
	uint64_t tables[2];
} __attribute__((packed));

/* An address in one of ACPI's address spaces */
struct gas {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));

#define GAS_IO   1
#define GAS_BYTE 1
#define GAS_WORD 2

struct fadt {
	struct header header;
	uint32_t firmware_ctrl;
	uint32_t dsdt;
	uint8_t reserved1;
	uint8_t pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd; /* 0: the machine is always in ACPI mode */
	uint8_t acpi_enable[4];
	uint32_t pm1a_evt;
	uint32_t pm1b_evt;
	uint32_t pm1a_cnt;
	uint32_t pm1b_cnt;
	uint32_t pm2_cnt;
	uint32_t pm_tmr;
	uint32_t gpe0;
	uint32_t gpe1;
	uint8_t pm1_evt_len;
	uint8_t pm1_cnt_len;
	uint8_t other_len[6];
	uint16_t c2_latency;
	uint16_t c3_latency;
	uint8_t cache[4], duty[2];
	uint8_t day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_firmware_ctrl;
	uint64_t x_dsdt;
	struct gas x_pm1a_evt;
	struct gas x_pm1b_evt;
	struct gas x_pm1a_cnt;
	struct gas x_other[7];
	uint64_t hypervisor_id;
} __attribute__((packed));

static_assert(offsetof(struct fadt, x_dsdt) == 140 && sizeof(struct fadt) == 276,
	      "the FADT's layout");

/* fadt.boot_arch: no VGA, no real-time clock; (bit 1 unset: no keyboard) */
#define BOOT_ARCH            (1 << 2 | 1 << 5)
/* fadt.flags */
#define FADT_WBINVD          (1 << 0)
#define FADT_PROC_C1         (1 << 2)
#define FADT_NO_POWER_BUTTON (1 << 4)
#define FADT_NO_SLEEP_BUTTON (1 << 5)
#define FADT_NO_FIXED_RTC    (1 << 6)
#define FADT_RESET_REG       (1 << 10)
#define FADT_APIC_PHYSICAL   (1 << 19)

struct madt {
	struct header header;
	uint32_t lapic_address;
	uint32_t flags;
} __attribute__((packed));

#define MADT_PCAT 1 /* there are PICs, too */

struct madt_lapic {
	uint8_t type, length;
	uint8_t processor_id;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length;
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length;
	uint8_t bus;
	uint8_t irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

#define OVERRIDE_LEVEL_HIGH 0xd

/* Tables are laid out one after the other from ACPI_TABLES. */
static uint32_t next_table;

static void *add_table(struct vm *vm, size_t size, uint32_t *gpa)
{
	*gpa = next_table;
	next_table += (size + 15) & ~15U;
	return vm_ram(vm, *gpa, size);
}

static uint8_t checksum(const void *table, size_t len)
{
	const uint8_t *byte = table;
	uint8_t sum = 0;

	while (len--)
		sum += *byte++;
	return -sum;
}

static void finish(struct header *h, const char *signature, uint8_t revision,
		   size_t length)
{
	memcpy(h->signature, signature, sizeof(h->signature));
	h->length = length;
	h->revision = revision;
	memcpy(h->oem_id, "KVMFD\0", sizeof(h->oem_id));
	memcpy(h->oem_table_id, "KVMFDVMM", sizeof(h->oem_table_id));
	h->oem_revision = 1;
	memcpy(h->creator_id, "KVFD", sizeof(h->creator_id));
	h->creator_revision = 1;
	h->checksum = checksum(h, length);
}

static uint32_t build_fadt(struct vm *vm, uint32_t dsdt, bool apic_physical)
{
	uint32_t gpa;
	struct fadt *f = add_table(vm, sizeof(*f), &gpa);

	f->dsdt = dsdt;
	f->x_dsdt = dsdt;
	f->sci_int = SCI_IRQ;
	f->pm1a_evt = PM1_EVT_PORT;
	f->pm1_evt_len = 4;
	f->x_pm1a_evt = (struct gas) { GAS_IO, 32, 0, GAS_WORD, PM1_EVT_PORT };
	f->pm1a_cnt = PM1_CNT_PORT;
	f->pm1_cnt_len = 2;
	f->x_pm1a_cnt = (struct gas) { GAS_IO, 16, 0, GAS_WORD, PM1_CNT_PORT };
	f->c2_latency = 0xffff; /* beyond the limit: no C2, no C3 */
	f->c3_latency = 0xffff;
	f->boot_arch = BOOT_ARCH;
	f->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON |
		   FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC | FADT_RESET_REG;
	if (apic_physical)
		f->flags |= FADT_APIC_PHYSICAL;
	f->reset_reg = (struct gas) { GAS_IO, 8, 0, GAS_BYTE, RESET_PORT };
	f->reset_value = RESET_VALUE;
	finish(&f->header, "FACP", 6, sizeof(*f));
	return gpa;
}

static uint32_t build_madt(struct vm *vm)
{
	size_t size = sizeof(struct madt) +
		      vm->cpus * sizeof(struct madt_lapic) +
		      sizeof(struct madt_ioapic) + sizeof(struct madt_override);
	struct madt_override *override;
	struct madt_ioapic *ioapic;
	struct madt_lapic *lapic;
	struct madt *m;
	uint32_t gpa;
	unsigned int i;

	m = add_table(vm, size, &gpa);
	m->lapic_address = LAPIC_ADDR;
	m->flags = MADT_PCAT;
	lapic = (struct madt_lapic *)(m + 1);
	for (i = 0; i < vm->cpus; i++)
		*lapic++ = (struct madt_lapic) { 0, sizeof(*lapic), i, i, 1 };
	ioapic = (struct madt_ioapic *)lapic;
	*ioapic = (struct madt_ioapic) { 1, sizeof(*ioapic), 0, 0, IOAPIC_ADDR, 0 };
	override = (struct madt_override *)(ioapic + 1);
	*override = (struct madt_override) { 2, sizeof(*override), 0, SCI_IRQ,
					     SCI_IRQ, OVERRIDE_LEVEL_HIGH };
	finish(&m->header, "APIC", 4, size);
	return gpa;
}

void acpi_build(struct vm *vm, bool apic_physical)
{
	uint32_t rsdp_gpa, xsdt_gpa, dsdt_gpa;
	struct rsdp *rsdp;
	struct xsdt *xsdt;

	next_table = ACPI_TABLES;
	rsdp = add_table(vm, sizeof(*rsdp), &rsdp_gpa);
	memcpy(add_table(vm, sizeof(dsdt_aml_code), &dsdt_gpa), dsdt_aml_code,
	       sizeof(dsdt_aml_code));

	xsdt = add_table(vm, sizeof(*xsdt), &xsdt_gpa);
	xsdt->tables[0] = build_fadt(vm, dsdt_gpa, apic_physical);
	xsdt->tables[1] = build_madt(vm);
	finish(&xsdt->header, "XSDT", 1, sizeof(*xsdt));

	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, "KVMFD\0", sizeof(rsdp->oem_id));
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = xsdt_gpa;
	rsdp->checksum = checksum(rsdp, offsetof(struct rsdp, length));
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}
