/**
 * Comma lists and the blanks in them (RFC 9110 §5.6.1, §5.6.3). Blanks are SP and HTAB and nothing
 * else: `trim` would also take away bytes (NBSP, FF) that other recipients see as part of a member.
 */

/** The members in order, without the blanks around them. Empty ones are none (§5.6.1.2). */
export const splitList = (value: string): Array<string> => {
  const members: Array<string> = []
  for (const part of value.split(",")) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, "")
    if (member !== "") members.push(member)
  }
  return members
}

/** Where case means nothing: in lower case. */
export const listMembers = (value: string): Array<string> => splitList(value.toLowerCase())
