/** Sends parcels, and tells where they are. The same as java/…/Shipping.java. */
import { serve } from "./Program.ts"

serve("Shipping", {
  unary: { Estimate: () => ({ days: 2 }) },
  streaming: {
    Track: function* ({ name }) {
      for (const what of [`${name} is packed`, `${name} is on its way`, `${name} is there`]) {
        yield { by: "TypeScript", what }
      }
    }
  }
})
