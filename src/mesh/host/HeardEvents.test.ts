import { TypedEventEmitter } from "@libp2p/interface"
import { expect, test, vi } from "vitest"
import { tellListenersOnly } from "./HeardEvents.ts"

test("makes an event only where somebody listens", () => {
  const stream = new TypedEventEmitter<{ idle: CustomEvent<number> }>()
  const made = vi.spyOn(stream, "dispatchEvent")
  tellListenersOnly(stream)
  expect(stream.safeDispatchEvent("idle", { detail: 1 })).toBe(true)
  expect(made).not.toHaveBeenCalled()
  const heard: Array<number> = []
  stream.addEventListener("idle", ({ detail }) => heard.push(detail), { once: true })
  expect(stream.safeDispatchEvent("idle", { detail: 2 })).toBe(true)
  expect(stream.safeDispatchEvent("idle", { detail: 3 })).toBe(true)
  expect(heard).toEqual([2])
  expect(made).toHaveBeenCalledTimes(1)
})

test("leaves alone what is no stream", () => {
  const other = { safeDispatchEvent: true }
  for (const it of [undefined, null, 1, other]) tellListenersOnly(it)
  expect(other).toEqual({ safeDispatchEvent: true })
})
