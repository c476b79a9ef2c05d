"""What can happen to the orders of a story: the rules, by who does it."""

from dataclasses import replace as changed

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.factories.sales import PRICE
from tests.faults.asking import Order, View
from tests.faults.bench import EVERYBODY, PEOPLE
from tests.faults.story import KIND, MOST_ORDERS, ORDERS, Story, asked_people

# What a person says to an approval is heard, or refused as it stands by then.
SAID = (200, 202, 403, 404, 409, 422)
MAYBE_AWAY = (200, 201, 202, 409, 503)
some_orders = precondition(lambda self: self.orders)


class Buying(Story):
    """Channels and payers."""

    @precondition(lambda self: len(self.orders) < MOST_ORDERS)
    @rule(quantity=st.integers(1, 3), kind=KIND)
    def place(self, quantity: int, kind: int) -> None:
        self.order_of(quantity, kind)

    @some_orders
    @rule(at=ORDERS)
    def place_again(self, at: int) -> None:
        answer = self.ask("POST", "/v1/orders", self.one(at).body, 202)
        self.require(answer.json()["order_no"] == self.one(at).order_no, "the same order got another number")

    @some_orders
    @rule(at=ORDERS, how=st.sampled_from(["all", "all", "all", "part", "deposit", "over", "again", "otherwise"]))
    def pay(self, at: int, how: str) -> None:
        order = self.one(at)
        if how in ("again", "otherwise"):
            if order.reported:
                number, amount = next(iter(order.reported.items()))
                self.report(order, amount + (how == "otherwise"), number, 422 if how == "otherwise" else 202)
            return
        due = max(self.shown(order)["totals"]["total_minor"] - sum(order.reported.values()), 0)
        deposit = order.body["payment"].get("deposit_minor", PRICE // 3)
        amount = {"part": PRICE // 2, "over": due + 500, "deposit": deposit}.get(how, due)
        if amount > 0:
            self.report(order, amount, f"P-{len(order.reported) + 1}", 202)

    @some_orders
    @rule(at=ORDERS)
    def cancel(self, at: int) -> None:
        wish = {"reason": "changed their mind"}
        self.ask("POST", f"/v1/orders/{self.one(at).order_no}/cancel", wish, *MAYBE_AWAY)

    @some_orders
    @rule(at=ORDERS, what=st.sampled_from(["fewer", "more", "another line", "address", "again"]))
    def change(self, at: int, what: str) -> None:
        fresh = self.first(at, lambda order: not self.shown(order)["shipments"])
        order = fresh[0] if fresh else self.one(at)
        path = f"/v1/orders/{order.order_no}/changes"
        if what == "again":
            if order.changes:
                self.ask("POST", path, order.changes[0], *MAYBE_AWAY)
            return
        wanted = {"change_id": f"C-{len(order.changes) + 1}", "reason": "the buyer rang"} | self._change(order, what)
        shown = self.ask("POST", f"{path}?preview=true", wanted, 200, 409, 422)
        if shown.status_code == 200:
            order.changes.append(wanted | {"version": shown.json()["version"]})
            self.seen[f"changed {self.ask('POST', path, order.changes[-1], *MAYBE_AWAY).status_code}"] += 1

    def _change(self, order: Order, what: str) -> View:
        if what == "address":
            return {"ship_to": {"country": "CN", "city": "上海市", "street": "南京路 2 号", "name": "李雷"}}
        if what == "another line":
            price = {"unit_price_minor": PRICE, "tax_rate": "0.13"}
            return {"add": [{"line_id": f"n{len(order.changes)}", "sku": self.sku, "quantity": 1} | price]}
        line = self.shown(order)["lines"][0]
        units = line["quantity"] - line["cancelled"] + (1 if what == "more" else -1)
        return {"lines": [{"line_id": line["line_id"], "quantity": max(units, 0)}]}


class Sending(Story):
    """The warehouse, the carrier, and the other parties."""

    @some_orders
    @rule(at=ORDERS, status=st.sampled_from(["picked_up", "in_transit", "delivered", "delivered", "lost", "returned"]))
    def scan(self, at: int, status: str) -> None:
        self.scanned(self.one(at), status)

    @rule(units=st.integers(1, 6))
    def replenish(self, units: int) -> None:
        self.bring(units)

    @rule(trouble=st.sampled_from(["carrier down", "carrier loses replies", "carrier refuses", "refunds fail", "none"]))
    def parties(self, trouble: str) -> None:
        self.asked.append(f"parties: {trouble}")
        carrier, provider = self.system.carrier, self.system.provider
        match trouble:
            case "carrier down":
                carrier.behaviour = changed(carrier.behaviour, down=True)
            case "carrier loses replies":
                carrier.behaviour = changed(carrier.behaviour, lost_reply_share=0.5)
            case "carrier refuses":
                carrier.behaviour = changed(carrier.behaviour, refused_cities=frozenset({"杭州市"}))
            case "refunds fail":
                provider.behaviour = changed(provider.behaviour, refused_methods=frozenset({"alipay"}))
            case _:
                share = self.system.faults.share
                self.system.heal()
                self.system.faults.share = share


class Losing(Story):
    """What befalls all orders at once, and a look at them at rest."""

    @precondition(lambda self: self.orders and not self.lost)
    @rule()
    def lose_and_recover(self) -> None:
        self.lost = True
        self.do(self.system.lose(self.order_nos))
        self.asked.append("all workflows are lost, and recovered")
        self.seen["recovered"] += 1

    @precondition(lambda self: self.orders and not self.rested)
    @rule()
    def rest(self) -> None:
        self.rested = True
        self.check_rest()


class Deciding(Story):
    """People: those who are asked, those who are not, and those who settle what stands still."""

    @some_orders
    @rule(
        at=ORDERS,
        who=st.sampled_from(["asked", "asked", "asked", "not asked", "submitter"]),
        decision=st.sampled_from(["approve", "approve", "approve", "approve", "reject", "abstain"]),
        twice=st.booleans(),
    )
    def decide(self, at: int, who: str, decision: str, twice: bool) -> None:
        if not (found := self.first(at, self.open_approvals)):
            return
        approval = found[1][0]
        asked = asked_people(approval)
        # Who has spoken and says the same again is answered as the first time.
        others = sorted(PEOPLE.keys() - {one["person_id"] for one in approval["assignees"]})
        if who == "asked" and asked:
            self._decide_as_asked(approval, asked, decision, twice=twice)
        elif who == "submitter" or not others:
            self.decided(approval, EVERYBODY, decision, 403, 409)
        else:
            # Whom nothing names sees nothing of it. Its level may have ended meanwhile: then they may be asked by now.
            allowed = (202, 403, 404, 409) if self._moves_on_soon(approval) else (403, 404, 409)
            self.decided(approval, others[0], decision, *allowed)

    def _decide_as_asked(self, approval: View, asked: list[str], decision: str, *, twice: bool) -> None:
        self.decided(approval, asked[0], decision, 200, 202, 403, 409)
        if twice:
            self.decided(approval, asked[-1], "reject" if decision == "approve" else "approve", 200, 202, 403, 409, 422)
            self.decided(approval, asked[0], decision, 200, 202, 403, 409)
        self.seen[f"decided {decision}"] += 1

    def _moves_on_soon(self, approval: View) -> bool:
        return bool(approval["seconds_left"] is None or approval["seconds_left"] < 10)

    @some_orders
    @rule(
        at=ORDERS,
        person=st.sampled_from(sorted(PEOPLE)),
        where=st.sampled_from(["before", "after", "beside"]),
        keeper=st.booleans(),
    )
    def add_signer(self, at: int, person: str, where: str, keeper: bool) -> None:
        """By who is asked, or by operations next to somebody who is to decide, whoever that is by then."""
        if not (found := self.first(at, self.open_approvals)):
            return
        approval = found[1][0]
        silent = [one["person_id"] for one in approval["assignees"] if one["state"] in ("asked", "waiting")]
        wish = {"person": person, "where": where, "reason": "they know the buyer"}
        by = EVERYBODY if keeper or not silent else silent[0]
        wish |= {"of": silent[-1]} if by == EVERYBODY and silent else {}
        answer = self.ask("POST", f"/v1/approvals/{approval['approval_id']}/signers", wish, *SAID, by=by)
        self.seen[f"signer added {answer.status_code}"] += 1

    @some_orders
    @rule(at=ORDERS, person=st.sampled_from(sorted(PEOPLE)), keeper=st.booleans())
    def remove_signer(self, at: int, person: str, keeper: bool) -> None:
        if found := self.first(at, self.open_approvals):
            approval = found[1][0]
            added = [one for one in approval["assignees"] if one["added_by"] is not None]
            leaves, adder = (added[0]["person_id"], added[0]["added_by"]) if added else (person, EVERYBODY)
            path = f"/v1/approvals/{approval['approval_id']}/signers/{leaves}/remove"
            answer = self.ask("POST", path, {"reason": "not needed"}, *SAID, by=EVERYBODY if keeper else adder)
            self.seen[f"signer removed {answer.status_code}"] += 1

    @some_orders
    @rule(at=ORDERS, person=st.sampled_from(sorted(PEOPLE)))
    def copy_to(self, at: int, person: str) -> None:
        if found := self.first(at, self.open_approvals):
            self.ask("POST", f"/v1/approvals/{found[1][0]['approval_id']}/cc", {"to": person}, *SAID)

    @some_orders
    @rule(at=ORDERS, what=st.sampled_from(["withdraw", "transfer"]))
    def pass_on(self, at: int, what: str) -> None:
        if found := self.first(at, self.open_approvals):
            approval = found[1][0]
            body: View = {"comment": "away"} | ({"to": "carl"} if what == "transfer" else {})
            self.ask("POST", f"/v1/approvals/{approval['approval_id']}/{what}", body, 200, 202, 403, 409, 422)

    @some_orders
    @rule(at=ORDERS, choice=st.sampled_from(["retry", "retry", "skip", "cancel"]))
    def resolve(self, at: int, choice: str) -> None:
        if held := self.first(at, lambda order: self.shown(order)["holds"]):
            self.settled(held[0], choice)

    @some_orders
    @rule(at=ORDERS, choice=st.sampled_from(["retry", "refund", "resend"]))
    def resolve_one(self, at: int, choice: str) -> None:
        if held := self.first(at, lambda order: self.shown(order)["holds"]):
            order, holds = held
            self.settled(order, choice, hold_id=holds[0]["hold_id"])

    @some_orders
    @rule(at=ORDERS)
    def hold(self, at: int) -> None:
        wish = {"reason": "the buyer hesitates"}
        self.ask("POST", f"/v1/orders/{self.one(at).order_no}/holds", wish, *MAYBE_AWAY)


class GivingBack(Story):
    """Refunds, and goods that come back."""

    @some_orders
    @rule(
        at=ORDERS,
        what=st.sampled_from(["units", "units", "goodwill", "compensation", "again"]),
        minor=st.integers(1, PRICE),
    )
    def refund(self, at: int, what: str, minor: int) -> None:
        order = self.one(at)
        path = f"/v1/orders/{order.order_no}/refunds"
        if what == "again":
            if order.refunds:
                self.ask("POST", path, order.refunds[0], 202)
            return
        asks: dict[str, View] = {
            "units": {"lines": [{"line_id": "1", "quantity": 1}], "reason_code": "damaged"},
            "goodwill": {"goodwill": {"amount_minor": minor}, "reason_code": "price_reduction"},
            "compensation": {"goodwill": {"amount_minor": minor}, "reason_code": "compensation"},
        }
        body = {"refund_id": f"F-{len(order.refunds) + 1}"} | asks[what]
        if self.ask("POST", path, body, 202, 409).status_code == 202:
            order.refunds.append(body)
            self.seen[f"refund of {what}"] += 1

    @some_orders
    @rule(at=ORDERS, units=st.integers(1, 2))
    def announce_return(self, at: int, units: int) -> None:
        order = self.one(at)
        lines = [{"line_id": "1", "quantity": units, "reason_code": "defective"}]
        wish = {"return_id": f"A-{len(order.returns) + 1}", "lines": lines}
        answer = self.ask("POST", f"/v1/orders/{order.order_no}/returns", wish, 202, 409)
        if answer.status_code == 202:
            order.returns.append(answer.json()["return_no"])
            self.seen["return announced"] += 1

    @some_orders
    @rule(at=ORDERS, found=st.sampled_from(["resellable", "damaged", "refused"]), last=st.booleans())
    def receive_return(self, at: int, found: str, last: bool) -> None:
        if announced := self.first(at, lambda order: order.returns):
            order, return_nos = announced
            self.taken_in(order, return_nos[-1], {found: 1}, last=last)
