import { describe, expect, it } from "vitest"
import { renderMatch } from "./revoke.ts"

const match = { of: "host-b", service: "nosuch", granted: ["*"], taken: ["*"], offered: [] }

describe("what a revoked service was, as far as is known", () => {
  it("is said when there is nothing that it takes, with what there would be", () => {
    const nothing = { ...match, granted: ["payments", "shop-*"], taken: [], withdrawn: [] }
    expect(renderMatch(nothing, "grant.abc")).toBe(
      "nothing is taken by it as yet: the certificate of host-b that is known here grants nothing called nosuch, but payments, shop-*. It holds for one that does; if the name is wrong, `skein delete trust grant.abc` takes it back"
    )
    expect(renderMatch({ ...nothing, granted: [] }, "grant.abc")).toContain(
      "grants no services at all."
    )
  })

  it("is said when the grant is there and no such service is offered", () => {
    const offered = Array.from({ length: 12 }, (_, index) => `shop-${index}`)
    expect(renderMatch({ ...match, offered, withdrawn: [] }, "grant.abc")).toBe(
      "of what host-b is granted (*) it is taken; no such service is offered there now, but shop-0, shop-1, shop-2, shop-3, shop-4, shop-5, shop-6, shop-7 and 4 more. If the name is wrong, `skein delete trust grant.abc` takes it back"
    )
    expect(renderMatch({ ...match, withdrawn: [] }, "grant.abc")).toContain(
      "no service is offered there now."
    )
  })

  it("is said when it is offered no more", () => {
    const offered = ["payments", "shop-web"]
    expect(renderMatch({ ...match, offered, withdrawn: ["payments"] }, "grant.abc")).toBe(
      "host-b offers this no more: payments"
    )
  })

  it("is not known of a node that is not", () => {
    expect(renderMatch(null, "grant.abc")).toBe(
      "the certificate of that node is not known here, and so not what this takes from it; it holds from when it is met"
    )
  })
})
