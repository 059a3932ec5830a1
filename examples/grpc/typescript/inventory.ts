/** Keeps the stock, and asks shipping when things can be there. The same as python/inventory.py. */
import { call, serve } from "./Program.ts"

const estimate = { name: "shipping", service: "Shipping", method: "Estimate" }

serve("Inventory", {
  unary: {
    Reserve: async (item, metadata) => {
      const { days } = await call<{ readonly days: number }>(estimate, item, metadata)
      return { by: "TypeScript", readyInDays: days }
    },
    Price: ({ name }) => ({ cents: 100 * name.length })
  }
})
