import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { fieldValue } from "../model/Exchange.ts"
import { addressOf, maxId } from "./ActorAddress.ts"
import { ActorUnavailable, MailboxFull } from "./ActorError.ts"
import { checkedType } from "./ActorService.ts"
import {
  messageTarget,
  readRefusal,
  readReleased,
  readTarget,
  refusalHead,
  releasedHead,
  releaseTarget
} from "./ActorWords.ts"
import type { Released } from "./Handover.ts"
import type { Refusal } from "./Message.ts"

const address = addressOf("Cart", "user-42")

describe("how a message stands in a call", () => {
  it("has any id in it, and any name of a message as its path", () => {
    const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 })
    const tag = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => text !== ".release")
    fc.assert(
      fc.property(tag, id, (name, actor) => {
        const target = messageTarget(name, actor)
        expect(target).toMatch(/^\/[!-~]*$/)
        expect(readTarget(target)).toEqual({ kind: "message", id: actor })
      })
    )
    expect(messageTarget("Add", "user-42")).toBe("/Add?id=user-42")
  })

  it("is read as any URL is, whoever has written it", () => {
    const path = fc.constantFrom("/", "/Add", "/a%20b", "/.release", "Add", "/.released")
    const query = fc.string({
      unit: fc.constantFrom(..."abz09-_.!~*'()%+&=;/?", "%41", "%C3%A9", "%FF", "id=", "&id="),
      maxLength: 12
    })
    fc.assert(
      fc.property(
        path,
        fc.constantFrom("?id=", "?", "?x=1&id="),
        query,
        (before, between, text) => {
          const [name, said = ""] = `${before}${between}${text}`.split("?", 2)
          const id = new URLSearchParams(said).get("id")
          const isMessage = name !== "/.release" && id !== null && id !== ""
          expect(readTarget(`${before}${between}${text}`)).toEqual(
            isMessage ? { kind: "message", id } : undefined
          )
        }
      ),
      { numRuns: 1_000 }
    )
  })

  it("says why in any words, of which half a character is none", () => {
    const refusal = ActorUnavailable.of("not_saved", address, "could not be saved: \ud83d")
    expect(readRefusal(refusalHead(refusal), address)).toMatchObject({
      code: "not_saved",
      message: expect.stringContaining("could not be saved: \ufffd")
    })
  })

  it("asks for a shard by a name that no message has", () => {
    for (const turn of [false, true]) {
      for (const by of [undefined, "program", "a b&turn=1"]) {
        const question = { shard: 7, turn, by }
        expect(readTarget(releaseTarget(question))).toEqual({ kind: "release", ...question })
      }
    }
    for (const target of [
      "/.release",
      "/.release?shard=-1",
      "/.release?shard=x",
      "/.release?shard=256",
      "/Add",
      "/Add?id="
    ]) {
      expect(readTarget(target)).toBeUndefined()
    }
    expect(readTarget(messageTarget("Add", "x".repeat(maxId + 1)))).toBeUndefined()
  })

  it.each<Released>([
    { kind: "released", others: [] },
    { kind: "released", others: ["12D3/actor-cart/program", "12D4/actor-cart/a b,c"] },
    { kind: "queued" },
    { kind: "leaving" },
    { kind: "kept", runs: true },
    { kind: "kept", runs: false }
  ])("tells in its head what came of asking for a shard: %j", (released) => {
    const head = releasedHead(released)
    expect(head.status).toBeLessThan(500)
    for (const field of head.fields) expect(field).toMatch(/^[ -~]+$/)
    expect(readReleased(head)).toEqual(released)
  })

  it("takes no other answer for one to that", () => {
    for (const status of [200, 404, 421, 425, 503]) {
      expect(readReleased({ status, fields: [] })).toEqual({ kind: "silent" })
    }
  })

  it.each<Refusal>([
    { _tag: "Moved", owner: "12D3/actor-cart/program" },
    { _tag: "Moved", owner: undefined },
    MailboxFull.of(address, 1_000),
    ActorUnavailable.of("failed", address, "has crashed, naïvely:\nat a line"),
    ActorUnavailable.of("not_saved", address, "could not be saved", { sent: true }),
    ActorUnavailable.of("state_newer", address, "was saved as version 2")
  ])("tells in its head why it was not handled: $_tag", (refusal) => {
    const head = refusalHead(refusal)
    expect(head.status).toBeLessThan(500)
    for (const field of head.fields) expect(field).toMatch(/^[ -~]+$/)
    expect({ ...readRefusal(head, address) }).toEqual({ ...refusal })
  })

  it("says a word that older releases do not know beside one that they do", () => {
    const head = refusalHead(ActorUnavailable.of("state_newer", address, "was saved as version 2"))
    expect(fieldValue(head.fields, "skein-actor")).toBe("failed")
    const later = head.fields.map((text) => (text === "state_newer" ? "of_next_year" : text))
    expect(readRefusal({ fields: later }, address)).toMatchObject({ code: "failed", sent: false })
  })

  it("takes nothing for a refusal that is none", () => {
    expect(readRefusal({ fields: ["skein-error", "denied"] }, address)).toBeUndefined()
    expect(readRefusal({ fields: ["skein-actor", "odd"] }, address)).toBeUndefined()
  })
})

describe("a type as a service", () => {
  it.each([
    ["Cart", "actor-cart"],
    ["ShoppingCart", "actor-shopping-cart"],
    ["HTTPProbe", "actor-http-probe"],
    ["shopping-cart", "actor-shopping-cart"],
    ["Cart2", "actor-cart2"]
  ])("%s is %s", (type, service) => {
    expect(checkedType(type)).toBe(service)
  })

  it.each(["", "Cart!", "-cart", "2carts", "Ein Wagen", "C".repeat(64)])("%j is none", (type) => {
    expect(() => checkedType(type)).toThrow("an actor's type is made of words")
  })
})
