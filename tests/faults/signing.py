"""What must be true of approvals that several people decide together, whoever joined, left or said what meanwhile."""

from typing import Final

SIGNING: Final[dict[str, str]] = {
    "I5 a word that was counted twice": """
        SELECT t.approval_id, t.actor, t.level, count(*) FROM approval_trail t JOIN approvals a USING (approval_id)
        WHERE a.order_no = ANY(:nos) AND t.decision IS NOT NULL AND t.outcome = 'effective'
        GROUP BY t.approval_id, t.actor, t.level HAVING count(*) > 1""",
    "I5 a word on the lists that nobody has said": """
        SELECT s.approval_id, s.person_id, s.state FROM approval_assignments s JOIN approvals a USING (approval_id)
        WHERE a.order_no = ANY(:nos) AND s.state IN ('approved', 'rejected', 'returned', 'abstained')
          AND NOT EXISTS (SELECT 1 FROM approval_trail t WHERE t.approval_id = s.approval_id
                          AND t.actor = s.person_id AND t.outcome = 'effective' AND s.state = CASE t.decision
                              WHEN 'approve' THEN 'approved' WHEN 'reject' THEN 'rejected'
                              WHEN 'return' THEN 'returned' WHEN 'abstain' THEN 'abstained' END)""",
    "I5 an approval of several that is over too soon, or too late": """
        WITH seats AS (
            SELECT s.approval_id, s.level, s.seat, bool_and(s.state = 'approved') AS agreed,
                   bool_or(s.state = 'rejected') AS against, bool_or(s.state = 'abstained') AS abstained
            FROM approval_assignments s JOIN approvals a USING (approval_id)
            WHERE a.order_no = ANY(:nos) AND s.state NOT IN ('dropped', 'removed', 'transferred', 'excused')
            GROUP BY s.approval_id, s.level, s.seat),
        levels AS (
            SELECT approval_id, level, count(*) AS seats, count(*) FILTER (WHERE agreed) AS agreed,
                   count(*) FILTER (WHERE against) AS against, count(*) FILTER (WHERE abstained) AS abstained
            FROM seats GROUP BY approval_id, level),
        counted AS (
            SELECT a.approval_id, a.state, a.rules->'mode' AS mode, l.seats, l.agreed, l.against, l.abstained,
                   (a.rules->'mode'->>'vote')::numeric AS vote
            FROM approvals a JOIN levels l USING (approval_id)
            WHERE (a.state = 'open' OR a.closed_by <> 'orderflow') AND a.rules->'mode' IS NOT NULL)
        SELECT c.approval_id, c.state, c.mode, max(c.agreed), max(c.against) FROM (
            SELECT approval_id, state, mode, agreed, against, abstained, CASE
                WHEN vote IS NULL THEN seats
                WHEN vote >= 1 THEN greatest(least(vote, seats), 1)
                ELSE greatest(ceil(vote * (seats - abstained)), floor((seats - abstained) / 2) + 1) END AS wanted
            FROM counted) c
        GROUP BY c.approval_id, c.state, c.mode
        HAVING (c.state = 'approved') <> bool_or(c.agreed >= c.wanted)
            OR (c.state = 'rejected' AND max(c.against + c.abstained) = 0)""",
    "I5 somebody who signed before it was their turn": """
        SELECT l.approval_id, l.person_id FROM approvals a JOIN approval_assignments l USING (approval_id)
        JOIN approval_assignments e ON e.approval_id = l.approval_id AND e.level = l.level AND e.seat < l.seat
        WHERE a.order_no = ANY(:nos) AND a.rules->>'mode' = 'sequence'
          AND l.state IN ('approved', 'rejected', 'abstained') AND e.state IN ('asked', 'waiting')""",
    "I5 two people of one sequence who are asked in different turns": """
        SELECT s.approval_id, s.level FROM approvals a JOIN approval_assignments s USING (approval_id)
        WHERE a.order_no = ANY(:nos) AND a.state = 'open' AND a.rules->>'mode' = 'sequence' AND s.state = 'asked'
        GROUP BY s.approval_id, s.level HAVING count(DISTINCT s.seat) > 1""",
}
