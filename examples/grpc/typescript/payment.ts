/** Takes money, and asks inventory what things cost. The same as go/payment.go. */
import { call, serve } from "./Program.ts"

const price = { name: "inventory", service: "Inventory", method: "Price" }

serve("Payments", {
  unary: {
    Charge: async (item, metadata) => {
      const { cents } = await call<{ readonly cents: number }>(price, item, metadata)
      return { by: "TypeScript", cents }
    }
  }
})
