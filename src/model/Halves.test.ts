import { describe, expect, it } from "vitest"
import {
  asTunnel,
  endRequest,
  endResponse,
  type Halves,
  isOver,
  isRequestEnded,
  isResponseEnded,
  isTunnel,
  openHalves
} from "./Halves.ts"

type Step = "request" | "response" | "tunnel"
const steps: Readonly<Record<Step, (halves: Halves) => Halves>> = {
  request: endRequest,
  response: endResponse,
  tunnel: asTunnel
}

describe("the halves of an exchange", () => {
  // Begun as a tunnel, what happened, and: tunnel, request ended, response ended, over.
  it.each<readonly [boolean, ReadonlyArray<Step>, ReadonlyArray<boolean>]>([
    [false, [], [false, false, false, false]],
    [false, ["request"], [false, true, false, false]],
    [false, ["response"], [false, false, true, true]],
    [false, ["request", "response"], [false, true, true, true]],
    [false, ["response", "request"], [false, true, true, true]],
    [false, ["tunnel"], [true, false, false, false]],
    [false, ["tunnel", "request"], [true, true, false, false]],
    [false, ["tunnel", "response"], [true, false, true, false]],
    [false, ["request", "tunnel"], [true, true, false, false]],
    [false, ["request", "tunnel", "response"], [true, true, true, true]],
    [false, ["tunnel", "response", "request"], [true, true, true, true]],
    [true, [], [true, false, false, false]],
    [true, ["request"], [true, true, false, false]],
    [true, ["response"], [true, false, true, false]],
    [true, ["request", "response"], [true, true, true, true]],
    [true, ["response", "request"], [true, true, true, true]],
    [true, ["response", "response"], [true, false, true, false]]
  ])("tunnel: %s, then %s", (tunnel, happened, expected) => {
    const halves = happened.reduce((it, step) => steps[step](it), openHalves(tunnel))
    expect([
      isTunnel(halves),
      isRequestEnded(halves),
      isResponseEnded(halves),
      isOver(halves)
    ]).toEqual(expected)
  })
})
