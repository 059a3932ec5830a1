/** Takes orders: reserves the item, takes the money, sends the parcel. */
import { call, listen, type Progress, type Receipt, type Reservation, serve } from "./Program.ts"

const reserve = { name: "inventory", service: "Inventory", method: "Reserve" }
const charge = { name: "payment", service: "Payments", method: "Charge" }
const track = { name: "shipping", service: "Shipping", method: "Track" }

serve("Orders", {
  unary: {
    Place: async (item, metadata) => ({
      by: "TypeScript",
      reservation: await call<Reservation>(reserve, item, metadata),
      receipt: await call<Receipt>(charge, item, metadata),
      progress: await listen<Progress>(track, item, metadata)
    })
  }
})
