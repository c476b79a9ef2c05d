"""The parts accounts play in our postings, and the account each has until an entity's own mapping says otherwise."""

from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What an account is for. Which account plays the role on which day is data, a dated mapping per legal entity."""

    WALLET = "wallet"
    BANK = "bank"
    RECEIVABLE = "receivable"
    COD_RECEIVABLE = "cod_receivable"
    PLATFORM_RECEIVABLE = "platform_receivable"
    INVENTORY = "inventory"
    GOODS_IN_TRANSIT = "goods_in_transit"
    COUNT_DIFFERENCE = "count_difference"
    GOODS_RECEIVED_NOT_INVOICED = "goods_received_not_invoiced"
    STORED_VALUE = "stored_value"
    CONTRACT_LIABILITY = "contract_liability"
    OUTPUT_VAT = "output_vat"
    OUTPUT_VAT_PENDING = "output_vat_pending"
    REFUND_PAYABLE = "refund_payable"
    MERCHANT_PAYABLE = "merchant_payable"
    OVERPAYMENT = "overpayment"
    REVENUE = "revenue"
    AGENT_COMMISSION = "agent_commission"
    FORFEITED_DEPOSIT = "forfeited_deposit"
    COST_OF_SALES = "cost_of_sales"
    GATEWAY_FEE = "gateway_fee"
    SAMPLE_EXPENSE = "sample_expense"
    COMPENSATION = "compensation"
    FX_DIFFERENCE = "fx_difference"
    ROUNDING = "rounding"


class Account(NamedTuple):
    """An account of the chart: its code and its Chinese name."""

    code: str
    name_zh: str


DEFAULT_ACCOUNTS: dict[Role, Account] = {
    Role.WALLET: Account("1012.01", "其他货币资金-第三方支付"),
    Role.BANK: Account("1002", "银行存款"),
    Role.RECEIVABLE: Account("1122", "应收账款"),
    Role.COD_RECEIVABLE: Account("1122.cod", "应收账款-货到付款"),
    Role.PLATFORM_RECEIVABLE: Account("1221.platform", "其他应收款-平台补贴"),
    Role.INVENTORY: Account("1405", "库存商品"),
    Role.GOODS_IN_TRANSIT: Account("1406", "发出商品"),
    Role.COUNT_DIFFERENCE: Account("1901", "待处理财产损溢"),
    Role.GOODS_RECEIVED_NOT_INVOICED: Account("2202.grni", "应付账款-暂估应付"),
    Role.STORED_VALUE: Account("2203.card", "预收账款-储值卡"),
    Role.CONTRACT_LIABILITY: Account("2204", "合同负债"),
    Role.OUTPUT_VAT: Account("2221.01.01", "应交税费-应交增值税(销项税额)"),
    Role.OUTPUT_VAT_PENDING: Account("2221.06", "应交税费-待转销项税额"),
    Role.REFUND_PAYABLE: Account("2241.refund", "其他应付款-应退货款"),
    Role.MERCHANT_PAYABLE: Account("2241.merchant", "其他应付款-代收货款"),
    Role.OVERPAYMENT: Account("2241.overpay", "其他应付款-多收款"),
    Role.REVENUE: Account("6001.01", "主营业务收入"),
    Role.AGENT_COMMISSION: Account("6051.comm", "其他业务收入-代销手续费"),
    Role.FORFEITED_DEPOSIT: Account("6301", "营业外收入-没收定金"),
    Role.COST_OF_SALES: Account("6401", "主营业务成本"),
    Role.GATEWAY_FEE: Account("6601.fee", "销售费用-手续费"),
    Role.SAMPLE_EXPENSE: Account("6601.sample", "销售费用-样品"),
    Role.COMPENSATION: Account("6601.comp", "销售费用-客户赔付"),
    Role.FX_DIFFERENCE: Account("6603.fx", "财务费用-汇兑差额"),
    Role.ROUNDING: Account("6603.round", "财务费用-尾差"),
}
"""Seed of a new entity's mapping: the usual codes of Chinese charts. The entity's own table wins."""


class PaymentCategory(StrEnum):
    """How money of a payment method reaches us. Which method is of which category is data."""

    ONLINE = "online"
    OFFLINE_TRANSFER = "offline_transfer"
    ON_CREDIT = "on_credit"
    CASH_ON_DELIVERY = "cash_on_delivery"
    COLLECTED_FOR_OTHERS = "collected_for_others"
    STORED_VALUE = "stored_value"
    # No money: what goods were worth that came back for others. No payment method is of it, only a return makes it.
    EXCHANGE_CREDIT = "exchange_credit"

    @property
    def debit_role(self) -> Role:
        """Where the money lands, or which of our debts it uses up."""
        return _DEBIT_ROLES[self]

    @property
    def receivable_role(self) -> Role:
        """Who owes us goods that were delivered before they were paid: a courier who collects, or the customer."""
        return Role.COD_RECEIVABLE if self is PaymentCategory.CASH_ON_DELIVERY else Role.RECEIVABLE


_DEBIT_ROLES = {
    PaymentCategory.ONLINE: Role.WALLET,
    PaymentCategory.OFFLINE_TRANSFER: Role.BANK,
    PaymentCategory.ON_CREDIT: Role.BANK,
    PaymentCategory.CASH_ON_DELIVERY: Role.BANK,
    PaymentCategory.COLLECTED_FOR_OTHERS: Role.WALLET,
    PaymentCategory.STORED_VALUE: Role.STORED_VALUE,
    PaymentCategory.EXCHANGE_CREDIT: Role.REFUND_PAYABLE,
}
