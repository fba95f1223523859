// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest cannot find by itself: the PCI host bridge with the address
 * ranges and the interrupt below it, the serial port, and the value that powers the machine off.
 * The numbers are those of vmm.h.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "KVMFD", "KVMFDVMM", 1)
{
	Name (\_S5, Package () { 5, 5, 0, 0 })	// S5_SLP_TYP

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, Zero)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0, 0x1000, 0xFFFF, 0, 0xF000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)
			})

			// The disk's INTA#, at the pin INTX_GSI of the I/O APIC or the PICs
			Name (_PRT, Package () { Package () { 0x0001FFFF, 0, 0, 10 } })
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, Zero)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}
	}
}
