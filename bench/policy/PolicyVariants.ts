/** The policies whose cost is asked, one on at a time. */
import type { PolicyInput } from "../../src/schema/PolicySchema.ts"

/** As little as a policy can say. */
const none: PolicyInput = {
  retry: "off",
  breaker: "off",
  ejection: "off",
  balance: { kind: "round_robin" }
}

export const variants = {
  none,
  timeouts: { ...none, timeout: { request: "2s", perTry: "500ms" } },
  retry: { ...none, retry: {} },
  breaker: { ...none, breaker: {} },
  ejection: { ...none, ejection: {} },
  p2c_ewma: { ...none, balance: { kind: "p2c_ewma" } },
  least_request: { ...none, balance: { kind: "least_request" } },
  defaults: {}
} as const satisfies Readonly<Record<string, PolicyInput>>

export type VariantName = keyof typeof variants

const names = Object.keys(variants)
export const isVariant = (text: string): text is VariantName => names.includes(text)
