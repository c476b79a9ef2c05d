"""How people call the names of the vocabulary, in Chinese and English."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.flow.nodes import Node

Words = tuple[str, str]

KINDS: Mapping[str, Words] = {
    "action": ("动作", "Action"),
    "branch": ("分支", "Branch"),
    "approval": ("审批", "Approval"),
    "wait": ("等待", "Wait"),
    "timer": ("定时", "Timer"),
    "parallel": ("并行", "At the same time"),
    "subflow": ("子流程", "Subflow"),
    "notify": ("通知", "Notify"),
    "set": ("设值", "Set"),
    "compensate": ("撤销", "Undo"),
    "exception": ("异常处理", "Exception lane"),
    "end": ("结束", "End"),
}

ACTIONS: Mapping[str, Words] = {
    "order.check": ("检查订单", "Check the order"),
    "credit.check": ("检查授信", "Check the credit"),
    "stock.reserve": ("锁定库存", "Reserve stock"),
    "stock.release": ("释放库存", "Release stock"),
    "customs.check": ("检查报关资料", "Check the customs data"),
    "group.join": ("计入拼团", "Count for the group"),
    "shipping.create": ("创建发货", "Ship"),
    "shipping.cancel": ("取消发货", "Cancel the shipment"),
    "shipping.take_back": ("收回退件", "Take parcels back"),
    "payment.forfeit": ("没收定金", "Keep the deposit"),
    "payment.refund": ("退款", "Refund"),
    "revenue.recognise": ("确认收入", "Recognise revenue"),
    "revenue.reverse": ("冲销收入", "Reverse revenue"),
    "invoice.issue": ("开票", "Issue the invoice"),
    "invoice.credit": ("红冲发票", "Credit the invoice"),
}

EVENTS: Mapping[str, Words] = {
    "payment.full": ("付清", "Paid in full"),
    "payment.deposit": ("付定金", "Deposit paid"),
    "payment.balance": ("付尾款", "Balance paid"),
    "shipment.handed_over": ("已揽收", "Handed to the carrier"),
    "shipment.delivered": ("已签收", "Delivered"),
    "stock.replenished": ("到货", "Goods came in"),
    "customs.cleared": ("清关完成", "Cleared by customs"),
    "group.complete": ("成团", "The group is complete"),
}

ARRIVALS: Mapping[str, Words] = {
    "payment.settled": ("收到付款", "Money came in"),
    "parcel.scanned": ("承运商扫描", "The carrier reports a parcel"),
    "stock.replenished": ("到货", "Goods came in"),
    "order.adjusted": ("部分退款", "A part of the order was refunded"),
    "approval.decided": ("审批意见", "Somebody has decided about an approval"),
    "hold.decided": ("异常处理意见", "Somebody has decided about a hold"),
    "customs.reported": ("海关回执", "Customs have said something"),
    "group.completed": ("成团", "The group has its number"),
    "return.received": ("退货入库", "Returned goods came in"),
}
"""Facts that reach a running order, by the kind under which the inbox keeps them."""

FACTS: Mapping[str, Words] = {
    "order.type": ("订单类型", "Order type"),
    "order.channel": ("渠道", "Channel"),
    "order.source": ("来源", "Source"),
    "order.total_minor": ("订单金额(分)", "Order total (minor units)"),
    "order.currency": ("币种", "Currency"),
    "order.item_count": ("件数", "Items"),
    "order.categories": ("类目", "Categories"),
    "order.skus": ("商品编码", "SKUs"),
    "order.has_gift": ("含赠品", "Has a gift"),
    "order.country": ("收货国家", "Country"),
    "order.placed_at": ("下单时间", "Placed at"),
    "order.balance_opens_at": ("尾款开始", "Balance opens at"),
    "order.balance_closes_at": ("尾款截止", "Balance closes at"),
    "order.deposit_refundable": ("定金可退", "Deposit is refundable"),
    "order.above_credit": ("超信用额度", "Above the credit"),
    "order.group_complete": ("已成团", "The group is complete"),
    "order.salesperson": ("业务员", "Salesperson"),
    "order.store": ("店铺", "Store"),
    "customer.id": ("客户编号", "Customer"),
    "customer.level": ("客户等级", "Customer level"),
    "customer.order_count": ("历史订单数", "Orders so far"),
    "customer.credit_limit_minor": ("信用额度(分)", "Credit limit (minor units)"),
    "customer.credit_used_minor": ("已用额度(分)", "Credit used (minor units)"),
    "customer.overdue_minor": ("逾期金额(分)", "Overdue (minor units)"),
    "customer.blacklisted": ("黑名单", "Blacklisted"),
    "payment.terms": ("付款条件", "Terms of payment"),
    "payment.method": ("支付方式", "Payment method"),
    "payment.paid_minor": ("已付(分)", "Paid (minor units)"),
    "payment.paid_in_full": ("已付清", "Paid in full"),
    "shipment.returned": ("包裹已退回", "Parcels came back"),
    "risk.score": ("风险分", "Risk score"),
    "flow.label": ("流程标签", "Label set by the flow"),
    "flow.urgent": ("加急", "Urgent, set by the flow"),
    "flow.tags": ("流程标记", "Tags set by the flow"),
}


def said(name: str) -> str:
    """An action, an awaited event or a fact that came in, in English; a name that nobody has put in words as it is."""
    return (ACTIONS.get(name) or EVENTS.get(name) or ARRIVALS.get(name) or (name, name))[1]


def title_of(node_id: str, node: "Node | None") -> str:
    """What the node does, in English; one that says nothing of itself by its kind and its author's name for it."""
    if node is None:
        return KINDS["exception"][1]
    match node.kind:
        case "wait":
            return f"Wait for: {said(node.step or node_id)}"
        case "action":
            return said(node.step or node_id)
    return f"{KINDS[node.kind][1]} ({node_id})"
