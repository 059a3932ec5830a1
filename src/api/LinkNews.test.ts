/** What a program says when its links to a node that is there are lost. */
import { describe, expect, it } from "vitest"
import { ManualTicker } from "../testing/LinkTestPair.ts"
import { LinkNews } from "./LinkNews.ts"

const make = () => {
  const ticker = new ManualTicker()
  const lines: Array<string> = []
  const state = { isAttached: true }
  const news = new LinkNews({
    ticker,
    log: (level, text) => lines.push(`${level}: ${text}`),
    node: () => "host-a",
    isAttached: () => state.isAttached
  })
  return { ticker, lines, news, state }
}

describe("links that are lost", () => {
  it("are told with how long the event loop stood still, and when they are back", () => {
    const { lines, news, ticker } = make()
    ticker.advance(1_000)
    expect(lines).toEqual([])
    // All at once: nothing ran meanwhile.
    ticker.jump(4_000)
    news.broken("the node closed them")
    news.broken("the node closed them")
    ticker.advance(300)
    expect(lines).toEqual([
      expect.stringMatching(
        /^warning: links of this program to the node host-a were lost \(the node closed them\): the event loop .* stood still for [34]\d\d\d ms or more/
      )
    ])
    news.whole()
    expect(lines.slice(1)).toEqual(["info: the node host-a reaches this program again"])
    news.stop()
  })

  it("are told in one line where they are back at once, and not at all where the node has ended", () => {
    const { lines, news, state, ticker } = make()
    news.broken("a bug")
    news.whole()
    ticker.advance(1_000)
    expect(lines).toEqual([
      "warning: links of this program to the node host-a were lost (a bug); they are made again"
    ])
    state.isAttached = false
    news.broken("it ended")
    ticker.advance(1_000)
    news.forget()
    expect(lines).toHaveLength(1)
    news.stop()
  })
})
