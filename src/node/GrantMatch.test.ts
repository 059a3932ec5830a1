import { expect, it } from "vitest"
import { matchGrant } from "./GrantMatch.ts"

const offered = ["payments", "shop-web"]

it("names the grants and the services that are concerned", () => {
  const certificate = { services: ["payments", "shop-*"], speaks: ["orders"] }
  const match = (pattern: string) => {
    const { taken, withdrawn } = matchGrant(pattern, certificate, offered)
    return [taken, withdrawn]
  }
  expect(match("payments")).toEqual([["payments"], ["payments"]])
  expect(match("shop-web")).toEqual([["shop-*"], ["shop-web"]])
  expect(match("shop-db")).toEqual([["shop-*"], []])
  expect(match("sh*")).toEqual([["shop-*"], ["shop-web"]])
  expect(match("orders")).toEqual([["orders"], []])
  expect(match("*")).toEqual([["payments", "shop-*", "orders"], offered])
  expect(match("nosuch")).toEqual([[], []])
  expect(match("payment")).toEqual([[], []])
})

it("is another thing where all is granted: then only what is offered tells a wrong name", () => {
  expect(matchGrant("paymnets", { services: ["*"] }, offered)).toEqual({
    granted: ["*"],
    taken: ["*"],
    offered,
    withdrawn: []
  })
})
